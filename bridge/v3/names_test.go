package v3

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNames(t *testing.T) {
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	counting := make([]byte, 200)
	for i := range counting {
		counting[i] = byte(i)
	}
	n := Names{Entropy: bytes.NewReader(counting)}
	with, without := n.Uplink("gs:conn:X", at), n.Uplink("", at)
	for _, ids := range [][]string{with, without} {
		if !slices.IsSorted(ids) {
			t.Errorf("%q is not sorted", ids)
		}
	}
	if len(with) != 4 || with[1] != "gs:conn:X" || len(without) != 3 {
		t.Errorf("%q with a connection, %q without", with, without)
	}
	all := slices.Concat(with, without, []string{
		n.CorrelationID(ApplicationUp, at), string(n.SessionKeyID(at)),
		n.Error(&Error{}).CorrelationID,
	})
	if got := JoinIDs(all); len(got) != len(all) {
		t.Errorf("one name was given twice: %q", all)
	}
	if id := n.CorrelationID(ApplicationUp, at); !strings.HasPrefix(id, ApplicationUp) ||
		len(id) != len(ApplicationUp)+26 {
		t.Errorf("%q is no correlation id", id)
	}
}

func TestJoinIDs(t *testing.T) {
	ids := make([]string, 1, 8)
	ids[0] = "b"
	if got := JoinIDs(ids, "c", "a", "b"); !slices.Equal(got, []string{"a", "b", "c"}) || ids[0] != "b" {
		t.Errorf("%q, and the list was %q", got, ids)
	}
}
