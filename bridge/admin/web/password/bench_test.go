package password

import "testing"

// One login, on the machine that runs it.
func BenchmarkMatches(b *testing.B) {
	hash, err := Hash("password")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if ok, err := Matches(hash, "password"); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
