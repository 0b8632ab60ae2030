package strict

import (
	"encoding/json"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
)

type base struct {
	Name string `json:"name"`
}

type inner struct {
	Text string `json:"text"`
}

type args struct {
	base
	Raw   json.RawMessage   `json:"raw,omitempty"`
	Raws  []json.RawMessage `json:"raws,omitempty"`
	Inner inner             `json:"inner"`
	List  []inner           `json:"list"`
	Bytes []byte            `json:"bytes"`
	Words map[string]string `json:"words"`
	At    time.Time         `json:"at"`
	Plain int
}

// What is small and what is large is read alike, and refused alike where a struct has no such member.
func TestUnmarshal(t *testing.T) {
	long := strings.Repeat("x", small)
	for _, tt := range []struct{ name, text, fault string }{
		{"all", `{"name":"N","raw":{"a":1},"raws":[1,"LONG"],"inner":{"text":"LONG"},"list":[{"text":"a"},{"text":"LONG"}],` +
			`"bytes":"QUJD","words":{"a":"LONG"},"at":"2026-11-28T16:34:28Z","PLAIN":7}`, ""},
		{"null", `{"raw":null,"raws":null,"inner":null,"list":null,"bytes":null,"words":{"a":"LONG"},"at":null}`, ""},
		{"no such member", `{"name":"LONG","names":1}`, "names"},
		{"no such member of a member", `{"inner":{"text":"LONG","more":1}}`, "more"},
		{"no such member in a list", `{"list":[{"text":"LONG"},{"texts":1}]}`, "texts"},
		{"another type", `{"name":"LONG","Plain":"7"}`, "string"},
		{"another type of a list", `{"list":{"a":"LONG"}}`, "object"},
		{"two values", `{"name":"LONG"}{}`, "value"},
		{"cut", `{"name":"LONG"`, "unexpected"},
		{"an array", `["LONG"]`, "array"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, fill := range []string{"short", long} {
				text := strings.ReplaceAll(tt.text, "LONG", fill)
				var got, want args
				err := Unmarshal([]byte(text), &got)
				if tt.fault != "" {
					if err == nil || !strings.Contains(strings.ToLower(err.Error()), tt.fault) {
						t.Errorf("of %d bytes: %v, want one on %q", len(text), err, tt.fault)
					}
					continue
				}
				if plain := json.Unmarshal([]byte(text), &want); plain != nil || err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("of %d bytes: %v, %v\n got %.200v\nwant %.200v", len(text), err, plain, got, want)
				}
			}
		})
	}
}

// A large text is not copied for those of its parts that stay as they are.
func TestNothingIsCopied(t *testing.T) {
	device := `{"ids":"` + strings.Repeat("x", 1000) + `"}`
	text := []byte(`{"name":"N","raws":[` + strings.Repeat(device+",", 999) + device + `]}`)
	var got args
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := Unmarshal(text, &got)
	runtime.ReadMemStats(&after)
	if err != nil || len(got.Raws) != 1000 || string(got.Raws[999]) != device {
		t.Fatalf("%d parts, %v", len(got.Raws), err)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > uint64(len(text))/4 {
		t.Errorf("%d bytes are allocated for %d", n, len(text))
	}
}
