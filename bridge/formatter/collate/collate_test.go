package collate

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode"

	library "golang.org/x/text/collate"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"

	"lorawand/radio/fuzztest"
)

// Texts of ASCII, and Latin, Greek and Cyrillic ones with accents, are in the order of the library with all
// tables.
func TestAsTheLibrary(t *testing.T) {
	all := library.New(language.Und)
	rnd := rand.New(rand.NewPCG(1, 2))
	var ascii strings.Builder
	for r := rune(' '); r < 0x7f; r++ {
		ascii.WriteRune(r)
	}
	for _, alphabet := range []string{
		ascii.String(), "abcABC", "aAbB éÉèêëàáâäãåÅñÑçõöÖüúùÿčšžőűąęţ0129-_.",
		"aB1- αάΑβΒςσΣοόΟ", "aB1- аАбеёЁжзийЙїґѓўЎьэяЯ",
	} {
		letters := []rune(alphabet)
		text := func() string {
			out := make([]rune, rnd.IntN(6))
			for i := range out {
				out[i] = letters[rnd.IntN(len(letters))]
			}
			return norm.NFD.String(string(out))
		}
		wrong := 0
		for range 10_000 {
			a, b := text(), text()
			if same := text(); rnd.IntN(3) == 0 {
				a, b = same+a, same+b
			}
			if got, want := (&Collator{}).CompareString(a, b), all.CompareString(a, b); got != want {
				if wrong++; wrong < 10 {
					t.Errorf("%q, %q: %d, not %d", a, b, got, want)
				}
			}
		}
	}
}

// excepted reports whether a character is newer than the library's tables, or is no
// letter when it is decomposed.
func excepted(r rune) bool { return r == 'Ϳ' || r == 'ʹ' }

// Letters of scripts with an order as that of the library.
func TestLettersAsTheLibrary(t *testing.T) {
	all := library.New(language.Und)
	for name, r := range map[string][2]rune{
		"Greek": {'Ͱ', 'Ͼ'}, "Cyrillic": {'Ѐ', 'ԧ'}, "Chinese": {'一', '一' + 200}, "Korean": {'가', '가' + 200},
	} {
		t.Run(name, func(t *testing.T) {
			var letters []string
			for l := r[0]; l <= r[1]; l++ {
				if d := norm.NFD.String(string(l)); unicode.IsLetter(l) && !excepted(l) {
					letters = append(letters, d)
				}
			}
			slices.SortFunc(letters, all.CompareString)
			for i, b := range letters[1:] { // neighbours, as both orders are transitive
				a := letters[i]
				if got, want := (&Collator{}).CompareString(a, b), all.CompareString(a, b); got != want {
					t.Errorf("%s, %s: %d, not %d", a, b, got, want)
				}
			}
		})
	}
}

// Other texts have an order all the same: of two, one comes first or they are alike.
func TestOrder(t *testing.T) {
	c := New(nil)
	texts := []string{
		"", "a", "A", "ä", "z", "я", "Я", "δ", "日本", "日", "§", "€", "½", "\x00", "\xff", "\u200b", "а\u0301",
		"😀", "9", "٣",
	}
	for _, a := range texts {
		for _, b := range texts {
			if c.CompareString(a, b) != -c.CompareString(b, a) {
				t.Errorf("%q and %q", a, b)
			}
			for _, d := range texts {
				if c.CompareString(a, b) < 0 && c.CompareString(b, d) < 0 && c.CompareString(a, d) >= 0 {
					t.Errorf("%q < %q < %q", a, b, d)
				}
			}
		}
	}
	for _, tt := range [][2]string{{"а", "б"}, {"б", "в"}, {"α", "β"}, {"z", "я"}, {"€", "a"}, {"9", "я"}} {
		if c.CompareString(tt[0], tt[1]) != -1 {
			t.Errorf("%q is not before %q", tt[0], tt[1])
		}
	}
}

func FuzzCompareString(f *testing.F) {
	f.Add("a", "é")
	f.Fuzz(fuzztest.Quick(func(t *testing.T, a, b string) {
		c := New(nil)
		if c.CompareString(a, b) != -c.CompareString(b, a) || c.CompareString(a, a) != 0 {
			t.Errorf("%q and %q", a, b)
		}
	}))
}
