package password

import (
	"errors"
	"strings"
	"testing"
)

func TestHash(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       error
	}{
		{"the shortest", "12345678", nil},
		{"characters of more bytes", "äöüßäöüß", nil},
		{"too short", "1234567", ErrShort},
		{"bytes are no characters", "äöüß", ErrShort},
		{"nothing", "", ErrShort},
		{"the longest", strings.Repeat("x", longest), nil},
		{"too long", strings.Repeat("x", longest+1), ErrLong},
	} {
		hash, err := Hash(tt.text)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if err != nil {
			continue
		}
		if strings.Contains(hash, tt.text) {
			t.Errorf("%s: the password stands in %s", tt.name, hash)
		}
		if ok, err := Matches(hash, tt.text); !ok || err != nil {
			t.Errorf("%s: %v, %v", tt.name, ok, err)
		}
		if ok, err := Matches(hash, tt.text[1:]+"x"); ok && tt.text[0] != 'x' || err != nil {
			t.Errorf("%s: another password: %v, %v", tt.name, ok, err)
		}
	}
}

// Two hashes of a password differ.
func TestSalt(t *testing.T) {
	a, err := Hash("password")
	b, err2 := Hash("password")
	if err != nil || err2 != nil || a == b {
		t.Errorf("%s, %s", a, b)
	}
}

func TestUnreadable(t *testing.T) {
	good, err := Hash("password")
	if err != nil {
		t.Fatal(err)
	}
	for name, hash := range map[string]string{
		"nothing": "", "another kind": strings.Replace(good, "scrypt", "md5", 1), "a part less": good[:strings.LastIndex(good, "$")],
		"a part more": good + "$x", "no number": strings.Replace(good, "4096", "many", 1),
		"more memory": strings.Replace(good, "4096", "1048576", 1), "more time": strings.Replace(good, "$2$", "$200$", 1),
		"no power of two": strings.Replace(good, "4096", "4095", 1), "negative": strings.Replace(good, "4096", "-1", 1),
		"a key that is cut": good[:len(good)-3], "no salt": strings.Replace(good, "$2$", "$2$!", 1),
	} {
		if ok, err := Matches(hash, "password"); ok || !errors.Is(err, ErrHash) {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
	}
}
