package config

import "strings"

// Nearest returns the one of some words that somebody has most likely meant, or "".
func Nearest(word string, all []string) (best string) {
	word = strings.ToLower(word)
	if len(word) > 64 {
		return ""
	}
	least := min(len(word)/3+1, 3) + 1
	for _, w := range all {
		d := distance(word, strings.ToLower(w))
		if strings.HasPrefix(strings.ToLower(w), word) && len(word) > 2 {
			d = min(d, 1)
		}
		if d < least {
			best, least = w, d
		}
	}
	return best
}

// distance is how many letters must be put in, taken out, or changed to make b of a
// (Levenshtein); two letters that have changed places are one change.
func distance(a, b string) int {
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	var earlier []int
	for i := range len(a) {
		earlier, before, row = before, row, make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(before[j+1]+1, row[j]+1, before[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], earlier[j-1]+1)
			}
		}
	}
	return row[len(b)]
}

func didYouMean(word, before string) string {
	if word == "" {
		return ""
	}
	return "; did you mean " + before + word + "?"
}
