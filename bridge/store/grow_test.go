package store

import (
	"fmt"
	"testing"
)

// The records of a large commit are written into one slice that has room for them: one that grew
// would take several times the memory.
func TestRoomForRecords(t *testing.T) {
	var records []Record
	for i := range 20 {
		kind, key := fmt.Sprintf("kind%d", i%3), fmt.Sprintf("key%d", i)
		records = append(records, Record{Kind: kind, Key: key, Data: make([]byte, i%700)})
	}
	records = append(records, Record{Kind: "kind", Key: "gone"})
	var b []byte
	if allocs := testing.AllocsPerRun(5, func() { b = appendRecords(nil, records) }); allocs != 1 {
		t.Errorf("%v allocations, %d of %d bytes", allocs, len(b), cap(b))
	}
	if got, err := decodeRecords(b); err != nil || len(got) != len(records) {
		t.Errorf("%d records, %v", len(got), err)
	}
}
