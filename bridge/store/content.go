package store

import (
	"fmt"
	"io"
	"maps"
	"strings"
)

// Content is what a store holds, in memory. Stores that are not in files use it, so that
// they hold, read and back up the same. It is for one goroutine at a time.
type Content struct{ records map[id]Record }

// NewContent returns a Content with records.
func NewContent(records ...Record) *Content {
	c := &Content{map[id]Record{}}
	c.Apply(records)
	return c
}

// Apply applies records in their order. It keeps their data.
func (c *Content) Apply(records []Record) { put(c.records, records) }

// Records returns the records of a kind, sorted by key. The caller must not change their data.
func (c *Content) Records(kind string) []Record { return recordsOf(c.records, kind) }

// All returns all records, sorted by kind and key.
func (c *Content) All() []Record { return sorted(c.records) }

// Len returns the number of records.
func (c *Content) Len() int { return len(c.records) }

// At returns the record with a kind and key. Where there is none, it returns the record that
// deletes it.
func (c *Content) At(kind, key string) Record {
	if r, ok := c.records[id{kind, key}]; ok {
		return r
	}
	return Record{Kind: kind, Key: key}
}

// Behind is that of a Store.
func (c *Content) Behind() bool {
	_, yes := c.records[behind]
	return yes
}

// FellBehind returns the record that makes Behind true.
func FellBehind(why string) Record {
	return Record{Kind: behind.kind, Key: behind.key, Version: 1, Data: []byte(why)}
}

// Backup is that of a Store.
func (c *Content) Backup(w io.Writer) error {
	if err := writeBackup(w, sorted(c.records)); err != nil {
		return fmt.Errorf("store: backup: %w", err)
	}
	return nil
}

// Merged returns the result of merge for the present records.
func (c *Content) Merged(merge Merge) (*Content, error) {
	records, err := merged(c.records, true, merge)
	if err != nil {
		return nil, err
	}
	return &Content{records}, nil
}

// merged returns the result of merge for records. whole says that they were read to their end.
func merged(records map[id]Record, whole bool, merge Merge) (map[id]Record, error) {
	_, old := records[behind]
	got, settled, err := merge(&Found{records: maps.Clone(records), Whole: whole && !old})
	if err != nil {
		return nil, err
	}
	for _, r := range got {
		if err := check(r); err != nil {
			return nil, err
		}
	}
	all := map[id]Record{}
	put(all, got)
	if !settled {
		put(all, []Record{FellBehind("a backup was restored")})
	}
	return all, nil
}

// EncodeRecords checks the records of one commit, and returns them as they are in a group of a
// journal.
func EncodeRecords(records []Record) ([]byte, error) {
	if err := checkAll(records); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return appendRecords(nil, records), nil
}

// DecodeRecords decodes what EncodeRecords has returned. The records hold copies of the data.
func DecodeRecords(b []byte) ([]Record, error) { return decodeRecords(b) }

// checkAll returns why the records cannot be stored in one commit.
func checkAll(records []Record) error {
	size := 0
	for _, r := range records {
		if err := check(r); err != nil {
			return err
		}
		size += len(r.Kind) + len(r.Key) + len(r.Data) + 8
	}
	if size > maxGroup {
		return fmt.Errorf("%d bytes in one commit, at most %d", size, maxGroup)
	}
	return nil
}

// moved begins why a store is behind whose state was copied to another one, which goes on with it.
const moved = "moved to "

// Moved returns the record that says that the state goes on elsewhere. Whoever goes on here all the
// same skips ahead: Behind is true.
func Moved(to string) Record { return FellBehind(moved + to) }

// Free reports whether nothing is lost when the records are replaced: there are none, or their state
// goes on elsewhere.
func (f *Found) Free() bool {
	return len(f.records) == 0 || strings.HasPrefix(string(f.records[behind].Data), moved)
}
