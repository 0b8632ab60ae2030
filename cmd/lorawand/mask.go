package main

import (
	"regexp"
	"strings"
)

// Lengths of secrets, in hexadecimal digits or characters.
const (
	keyDigits  = 32 // of AES-128
	euiDigits  = 16
	shownOfEUI = 4  // which tell devices apart
	shownOfKey = 11 // of an API key: "NNSXS." and the begin of its id
)

// masked takes out of a text what nobody may see who helps with a fault: keys and
// passwords. EUIs are cut short.
func masked(text string) string {
	var b strings.Builder
	pairs := regexp.MustCompile(`([0-9a-fA-F]{2}[:-]){7,}[0-9a-fA-F]{2}`) // as EUIs and keys are printed at times
	plain := strings.NewReplacer(":", "", "-", "")
	for line := range strings.Lines(text) {
		line = pairs.ReplaceAllStringFunc(line, func(s string) string { return maskRun(plain.Replace(s)) })
		b.WriteString(maskRuns(maskLogins(maskSetting(line))))
	}
	return b.String()
}

// secretWords are in the names of settings that are secrets.
var secretWords = []string{"password", "passwd", "secret", "token", "app_key", "nwk_key", "session_key", "api_key"}

// maskSetting masks the value of a line such as `password = "x"`.
func maskSetting(line string) string {
	name, value, found := strings.Cut(line, "=")
	lower := strings.ToLower(name)
	for _, w := range secretWords {
		if found && strings.Contains(lower, w) && strings.Trim(value, " \"'\r\n") != "" {
			return name + "= [masked]\n"
		}
	}
	return line
}

// maskLogins masks user and password in URLs: scheme://user:password@host.
func maskLogins(line string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(line, "://")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString("://")
		end := strings.IndexAny(rest, "/?#\" \t\n")
		if end < 0 {
			end = len(rest)
		}
		if at := strings.LastIndexByte(rest[:end], '@'); at >= 0 {
			b.WriteString("[masked]")
			rest = rest[at:]
		}
		line = rest
	}
}

// maskRuns masks API keys and what is as long as a key in hexadecimal, and cuts EUIs.
func maskRuns(line string) string {
	var b strings.Builder
	for line != "" {
		n := 0
		for n < len(line) && isOfRun(line[n]) {
			n++
		}
		if n == 0 {
			b.WriteByte(line[0])
			line = line[1:]
			continue
		}
		b.WriteString(maskRun(line[:n]))
		line = line[n:]
	}
	return b.String()
}

// isOfRun reports whether a character can be of an API key or of a number in hexadecimal.
func isOfRun(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '.'
}

func maskRun(run string) string {
	// A full stop can be the end of a sentence.
	if words := strings.Split(run, "."); len(words) > 1 && !strings.Contains(run, "NNSXS.") {
		for i := range words {
			words[i] = maskRun(words[i])
		}
		return strings.Join(words, ".")
	}
	if prefix := strings.ToLower(run[:min(2, len(run))]); prefix == "0x" {
		return run[:2] + maskRun(run[2:])
	}
	digits := strings.Trim(run, "0123456789abcdefABCDEF") == ""
	switch {
	case strings.Contains(run, "NNSXS."):
		at := strings.Index(run, "NNSXS.")
		return run[:at] + run[at:min(at+shownOfKey, len(run))] + "[masked]"
	case digits && len(run) >= keyDigits:
		return "[masked]"
	case digits && len(run) == euiDigits:
		return "…" + run[euiDigits-shownOfEUI:]
	}
	return run
}
