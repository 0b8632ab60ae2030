package collate

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Letters in their order.
//
// Source: the root of CLDR 23, as golang.org/x/text/collate has it.
const (
	greek = "αβγδεϝͷϛζͱηθιϳκϗλμνξοπϻϟϙρϼσͼͻͽτυφχψωϡͳϸϣϥϧϩϫϭϯ"

	cyrillic = "аӑӓәӛӕбвгғӻҕӷдԁђԃѓҙеӗєжӝҗзԅԑӟѕӡԇиҋӥіїйјкқӄҡҟҝԟԛлӆԓԡљԉԕмӎнӊңӈԣҥњԋоӧөӫпԥҧҁрҏԗсԍҫтԏҭћќуўӱӳүұѹфхӽӿҳһԧѡѿѽ" +
		"ѻцҵчӵҷӌҹҽҿџшщъыӹьҍѣэӭюяԙѥѧѫѩѭѯѱѳѵѷҩԝӏ"
)

// variants are lower-case letters that are another form of the letter behind them.
const variants = "ϐβϵεϑθͺιϰκϖπϱρϲσςσϕφґг"

// variant returns the letter that a lower-case one is a form of.
func variant(r rune) (base rune, ok bool) {
	if r == 'ϒ' { // which has no lower case
		return 'υ', true
	}
	i := strings.IndexRune(variants, r)
	if i < 0 || i%4 != 0 {
		return 0, false
	}
	base, _ = utf8.DecodeRuneInString(variants[i+2:])
	return base, true
}

// compositions are Cyrillic letters that are letters of their own, behind the parts
// that they are decomposed to. Others, as ё, are letters with accents.
const compositions = "а\u0306ӑа\u0308ӓә\u0308ӛг\u0301ѓе\u0306ӗж\u0308ӝз\u0308ӟ" +
	"и\u0308ӥи\u0306йі\u0308їк\u0301ќо\u0308ӧө\u0308ӫ" +
	"у\u0308ӱу\u030bӳу\u0306ўч\u0308ӵы\u0308ӹэ\u0308ӭѵ\u030fѷ"

// composed returns the letter at the beginning of s, and its bytes; r and n are the
// first character of s and its bytes.
func composed(r rune, n int, s string) (rune, int) {
	mark, m := utf8.DecodeRuneInString(s[n:])
	if r < 'Ѐ' || r > 'ԯ' || m != 2 || !unicode.Is(unicode.Mn, mark) {
		return r, n
	}
	lower := unicode.ToLower(r)
	_, rest, found := strings.Cut(compositions, string([]rune{lower, mark}))
	if !found {
		return r, n
	}
	whole, _ := utf8.DecodeRuneInString(rest)
	if lower != r {
		whole = unicode.ToUpper(whole)
	}
	return whole, n + m
}
