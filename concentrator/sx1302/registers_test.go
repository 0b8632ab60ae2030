package sx1302

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestRegisters compares each field with the register map of Semtech, by the
// name that stands behind it.
func TestRegisters(t *testing.T) {
	f, err := os.Open("testdata/registers.csv.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for s := bufio.NewScanner(z); s.Scan(); {
		name, rest, _ := strings.Cut(s.Text(), ",")
		want[name] = strings.ToLower(rest)
	}
	source, err := os.ReadFile("registers.go")
	if err != nil {
		t.Fatal(err)
	}
	form := regexp.MustCompile(`(\w+)\s+= field\{(0x\w+), (\d), (\d)\} // (\w+)`)
	fields := form.FindAllStringSubmatch(string(source), -1)
	if len(fields) < 200 || len(fields) != strings.Count(string(source), "= field{") {
		t.Fatalf("%d fields found", len(fields))
	}
	for _, m := range fields {
		if got := fmt.Sprintf("%s,%s,%s", m[2], m[3], m[4]); got != want[m[5]] {
			t.Errorf("%s is %s, want that of %s, %q", m[1], got, m[5], want[m[5]])
		}
	}
}
