// Package password turns the password of the web page into what is stored of it, and
// compares it with that.
package password

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/scrypt"
)

// The cost of a hash: 128·n·r = 4 MiB of memory, and on a MIPS 24Kc of 580 MHz about
// 0.5 to 1 s. More memory would be felt on a gateway that has 64 MiB.
const (
	costN   = 1 << 12
	costR   = 8
	costP   = 2
	keySize = 32
	salting = 16
)

// Limits of a password.
const (
	shortest = 8   // characters
	longest  = 256 // bytes
)

// Reasons for refusing a password.
var (
	ErrShort = fmt.Errorf("the password is too short: at least %d characters", shortest)
	ErrLong  = fmt.Errorf("the password is too long: at most %d bytes", longest)
	ErrHash  = errors.New("the stored hash of the password cannot be read")
)

// Hash returns what is stored of a password: "scrypt", its cost, the salt and the key.
func Hash(text string) (string, error) {
	switch {
	case utf8.RuneCountInString(text) < shortest:
		return "", ErrShort
	case len(text) > longest:
		return "", ErrLong
	}
	salt := make([]byte, salting)
	_, _ = rand.Read(salt) // never fails
	defer debug.FreeOSMemory()
	key, err := scrypt.Key([]byte(text), salt, costN, costR, costP, keySize)
	if err != nil {
		return "", err
	}
	enc := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("scrypt$%d$%d$%d$%s$%s", costN, costR, costP, enc(salt), enc(key)), nil
}

// Matches reports whether a password is the one of a hash. The error is ErrHash.
func Matches(hash, text string) (bool, error) {
	var n, r, p int
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[0] != "scrypt" {
		return false, ErrHash
	}
	if _, err := fmt.Sscanf(strings.Join(parts[1:4], " "), "%d %d %d", &n, &r, &p); err != nil {
		return false, ErrHash
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	want, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil || err2 != nil || len(want) != keySize {
		return false, ErrHash
	}
	// A restored backup may come from anywhere: its cost must not be more than ours can be.
	if n < 2 || r < 1 || p < 1 || n > costN || r > costR || p > costP {
		return false, ErrHash
	}
	if len(text) > longest {
		return false, nil
	}
	defer debug.FreeOSMemory() // 4 MiB that would stay for minutes
	key, err := scrypt.Key([]byte(text), salt, n, r, p, keySize)
	if err != nil {
		return false, ErrHash
	}
	return subtle.ConstantTimeCompare(key, want) == 1, nil
}
