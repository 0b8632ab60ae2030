// Package collate says in which order texts stand, for String.prototype.localeCompare
// of the JavaScript engine. What is shipped has it in the place of
// golang.org/x/text/collate, whose tables for all scripts are a twelfth of a package
// for OpenWrt.
//
// Latin texts are in the order of the root of CLDR, as there: first by their letters
// and other characters, then by accents, then lower case before upper case. So are Greek
// and Cyrillic letters. The letters of other scripts are in the order of Unicode's
// numbers, which is the same for Chinese and Korean, and nearly the same for those of
// one other script.
package collate

import (
	"cmp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Collator compares texts. It may be used by several goroutines.
type Collator struct{}

// New returns a Collator. There is only one, whatever language is asked for.
func New(any) *Collator { return &Collator{} }

// CompareString returns which of two texts, whose characters are decomposed (NFD),
// comes first: -1, 0 or 1.
func (*Collator) CompareString(a, b string) int {
	for _, weight := range []func(rune) (int, bool){primary, secondary, tertiary} {
		if c := compare(a, b, weight); c != 0 {
			return c
		}
	}
	return 0
}

// compare compares two texts by one weight of their characters; those without it are
// left out.
func compare(a, b string, weight func(rune) (int, bool)) int {
	for {
		v, restA := next(a, weight)
		w, restB := next(b, weight)
		if c := cmp.Compare(v, w); c != 0 || v == end {
			return c
		}
		a, b = restA, restB
	}
}

// end is a weight below all others.
const end = -1

func next(s string, weight func(rune) (int, bool)) (int, string) {
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		r, n = composed(r, n, s)
		s = s[n:]
		if w, ok := weight(r); ok {
			return w, s
		}
	}
	return end, ""
}

// punctuation and symbols of ASCII, and digits, in their order.
const punctuation = "\t\n\v\f\r _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789"

// What is before and behind that; letters and the rest are by their numbers.
const (
	beforeASCII = 1 << 22 * iota
	ofASCII
	ofLetters
)

// primary is which letter, or other character.
func primary(r rune) (int, bool) {
	switch {
	case unicode.Is(unicode.Mn, r) || unicode.IsControl(r) && !unicode.IsSpace(r):
		return 0, false
	case r < utf8.RuneSelf:
		if i := strings.IndexRune(punctuation, r); i >= 0 {
			return ofASCII + i, true
		}
	case !unicode.IsLetter(r) && !unicode.IsDigit(r):
		return beforeASCII + int(r), true
	}
	r = unicode.ToLower(r)
	if base, ok := variant(r); ok {
		r = base
	}
	for _, script := range []string{greek, cyrillic} {
		if i := strings.IndexRune(script, r); i >= 0 {
			first, _ := utf8.DecodeRuneInString(script)
			return ofLetters + int(first) + i/2, true // two bytes each
		}
	}
	return ofLetters + int(r), true
}

// accents are the marks of Latin letters, in their order.
const accents = "\u0301\u0300\u0306\u0302\u030c\u030a\u0308\u030b\u0303\u0307\u0328\u0327\u0304"

// secondary is an accent, or that there is none before the next letter.
func secondary(r rune) (int, bool) {
	switch {
	case r == 'ґ' || r == 'Ґ':
		return len(accents) + 'ґ', true
	case !unicode.Is(unicode.Mn, r):
		_, ok := primary(r)
		return 0, ok
	}
	if i := strings.IndexRune(accents, r); i >= 0 {
		return 1 + i, true
	}
	return len(accents) + int(r), true
}

// tertiary is lower or upper case, and which form of a letter.
func tertiary(r rune) (int, bool) {
	if r == 'ς' {
		return 4, true
	}
	w := 0
	if unicode.IsUpper(r) {
		w = 2
	}
	if _, ok := variant(unicode.ToLower(r)); ok || r == 'ϴ' {
		w++
	}
	_, ok := primary(r)
	return w, ok
}
