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
		{"too short", "1234567", ErrShort},
		{"bytes are no characters", "äöüß", ErrShort},
		{"nothing", "", ErrShort},
		{"the longest, of more bytes", strings.Repeat("ü", longest/2), nil},
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
		if ok, err := Matches(hash, strings.Repeat("x", longest+1)); ok || err != nil {
			t.Errorf("%s, a text that is too long: %v, %v", tt.name, ok, err)
		}
		if ok, err := Matches(hash, tt.text[1:]); ok || err != nil {
			t.Errorf("%s: another password: %v, %v", tt.name, ok, err)
		}
	}
}

// Two hashes of a password differ, and one that cannot be read matches nothing.
func TestUnreadable(t *testing.T) {
	good, err := Hash("password")
	other, err2 := Hash("password")
	if err != nil || err2 != nil || good == other {
		t.Fatalf("%s, %s", good, other)
	}
	for name, hash := range map[string]string{
		"nothing": "", "another kind": strings.Replace(good, "scrypt", "md5", 1), "a part less": good[:strings.LastIndex(good, "$")],
		"a part more": good + "$x", "no number": strings.Replace(good, "4096", "many", 1),
		"more memory": strings.Replace(good, "4096", "1048576", 1), "more time": strings.Replace(good, "$2$", "$200$", 1),
		"no power of two": strings.Replace(good, "4096", "4095", 1), "no memory": strings.Replace(good, "$8$", "$0$", 1),
		"no time":           strings.Replace(good, "$2$", "$0$", 1),
		"negative":          strings.Replace(good, "4096", "-1", 1),
		"a key that is cut": good[:len(good)-3], "no salt": strings.Replace(good, "$2$", "$2$!", 1),
	} {
		if ok, err := Matches(hash, "password"); ok || !errors.Is(err, ErrHash) {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
	}
}
