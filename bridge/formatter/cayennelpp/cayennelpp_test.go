package cayennelpp

import (
	"slices"
	"testing"

	"lorawand/bridge/jsontext"
)

// A value that is encoded with the name of a type decodes to the same value.
func TestThereAndBack(t *testing.T) {
	for _, k := range kinds {
		payload := []byte{5, k.code}
		for _, p := range k.parts {
			payload = append(payload, []byte{0x12, 0x34, 0x56, 0x78}[:p.size]...)
		}
		if _, err := Decode(payload, true); (err == nil) != k.stack {
			t.Errorf("%s, strictly: %v", k.name, err)
		}
		decoded, err := Decode(payload, false)
		if err != nil {
			t.Errorf("%s: %v", k.name, err)
		}
		text := jsontext.Append(nil, decoded)
		encoded, err := Encode(text)
		if err != nil || string(encoded) != string(payload) {
			t.Errorf("%s: % x became %s became % x, %v", k.name, payload, text, encoded, err)
		}
	}
}

// Types are found by their code.
func TestKindsAreSorted(t *testing.T) {
	if !slices.IsSortedFunc(kinds, func(a, b kind) int { return int(a.code) - int(b.code) }) {
		t.Error("they are not in the order of their codes")
	}
	for _, k := range kinds {
		if got, known := byCode(k.code); !known || got.name != k.name {
			t.Errorf("0x%02x is %q, not %q", k.code, got.name, k.name)
		}
	}
}

// The items before a cut one are kept, and the error says where the cut is.
func TestCut(t *testing.T) {
	whole := []byte{3, 0x67, 1, 0x10, 5, 0x71, 4, 0xd2, 0xfb, 0x2e, 0, 0}
	for n := range whole {
		data, err := Decode(whole[:n], false)
		wholeItems := n >= 4
		if (err == nil) != (n == 0 || n == 4) || (len(data) == 1) != wholeItems {
			t.Errorf("%d bytes: %v, %v", n, data, err)
		}
	}
}
