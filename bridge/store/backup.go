package store

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"
	"unicode/utf8"
)

// A backup is one text file of lines of JSON: what it is, each record, and an
// end with the SHA-256 of all bytes before its line. Data that are JSON stand
// there as such, other data as base64.
//
//	{"lorawand":"backup","format":1}
//	{"kind":"counters","key":"app1/dev1","version":1,"base64":"AQE…"}
//	{"kind":"device","key":"app1/dev1","version":1,"json":{"ID":…}}
//	{"records":2,"sha256":"9f86…"}
const (
	backupMagic  = "backup"
	backupFormat = 1

	maxBackupLine = maxData*3/2 + 1<<17*6 // bytes: data in base64, a key of escapes
)

// MaxBackup is the largest backup that can be read, bytes.
const MaxBackup = 256 << 20

type backupHead struct {
	Lorawand string `json:"lorawand"`
	Format   int    `json:"format"`
}

type backupRecord struct {
	Kind    string          `json:"kind"`
	Key     string          `json:"key"`
	Version uint8           `json:"version"`
	Base64  []byte          `json:"base64"`
	JSON    json.RawMessage `json:"json"`
}

type backupEnd struct {
	Records int64  `json:"records"`
	SHA256  string `json:"sha256"` // hexadecimal
}

// ErrBackup is the reason for not restoring what is no whole backup.
var ErrBackup = errors.New("not a whole backup")

// Backup writes all records as one text file. They are those of one moment, and
// commits do not wait for it. The file holds keys in clear text.
func (s *Store) Backup(w io.Writer) error {
	s.mu.Lock()
	records := sorted(s.records)
	s.mu.Unlock()
	if err := writeBackup(w, records); err != nil {
		return fmt.Errorf("store: backup: %w", err)
	}
	return nil
}

func writeBackup(w io.Writer, records []Record) error {
	buffered, sum := bufio.NewWriter(w), sha256.New()
	out := io.MultiWriter(buffered, sum)
	if _, err := fmt.Fprintf(out, `{"lorawand":%q,"format":%d}`+"\n", backupMagic, backupFormat); err != nil {
		return err
	}
	n := 0
	var line []byte
	for _, r := range records {
		if r.Kind == behind.kind {
			continue
		}
		n++
		line = appendBackupRecord(line[:0], r)
		if _, err := out.Write(line); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintf(buffered, `{"records":%d,"sha256":"%x"}`+"\n", n, sum.Sum(nil)); err != nil {
		return err
	}
	return buffered.Flush()
}

// appendBackupRecord writes the line by hand: the JSON of encoding/json would
// not be the same bytes as the record's.
func appendBackupRecord(b []byte, r Record) []byte {
	b = append(appendJSON(append(b, `{"kind":`...), r.Kind), `,"key":`...)
	b = fmt.Appendf(appendJSON(b, r.Key), `,"version":%d,`, r.Version)
	if isLine(r.Data) {
		b = append(append(b, `"json":`...), r.Data...)
	} else {
		b = appendJSON(append(b, `"base64":`...), r.Data)
	}
	return append(b, "}\n"...)
}

// appendJSON appends text or bytes, which always have a JSON.
func appendJSON(b []byte, v any) []byte {
	j, _ := json.Marshal(v)
	return append(b, j...)
}

// isLine tells whether data are JSON that comes back byte for byte.
func isLine(b []byte) bool {
	return json.Valid(b) && utf8.Valid(b) && !bytes.ContainsAny(b, "\r\n") && len(bytes.TrimSpace(b)) == len(b)
}

// Backup is what ReadBackup has read.
type Backup struct{ records []Record }

// Records returns the records of a kind, in the order in which they stand there.
func (b *Backup) Records(kind string) []Record {
	var out []Record
	for _, r := range b.records {
		if r.Kind == kind {
			out = append(out, r)
		}
	}
	return out
}

// ReadBackup reads a backup to its end, or returns ErrBackup.
func ReadBackup(r io.Reader) (*Backup, error) {
	records, err := readBackup(r)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return &Backup{records}, nil
}

// Found is what a store holds that a backup is to take the place of.
type Found struct {
	records map[id]Record
	// Whole says that the records are what Commit has answered last; they may be
	// older where the store was damaged, and there are none where it cannot be
	// read.
	Whole bool
}

// Records returns the records of a kind, sorted by key.
func (f *Found) Records(kind string) []Record { return recordsOf(f.records, kind) }

// Merge says what a store is to hold in place of what it holds. settled says
// that what must never go back does not: else Behind is true afterwards.
type Merge func(old *Found) (records []Record, settled bool, err error)

// All returns the records of the backup, in the order in which they stand there.
func (b *Backup) All() []Record { return slices.Clone(b.records) }

// Restore replaces what the store in a folder holds by what merge makes of it:
// all of it or, with an error, nothing; after an error of the file system the
// next Open finds the one or the other. The folder may be empty, and the store
// damaged; the files that were there are kept with the ending ".old". It returns
// what Open or merge returns.
func Restore(dir string, o Options, merge Merge) error {
	s, err := open(dir, o, true)
	if err == nil {
		err = errors.Join(s.restore(merge), s.Close())
	}
	if err != nil {
		return fmt.Errorf("store: restore: %s: %w", dir, err)
	}
	return nil
}

// Restore is Restore for a store that is open. Who has loaded records before
// has to load them again.
func (s *Store) Restore(merge Merge) error {
	if err := s.restore(merge); err != nil {
		return fmt.Errorf("store: restore: %w", err)
	}
	return nil
}

func (s *Store) restore(merge Merge) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.closed {
		return ErrClosed
	}
	all, err := s.merged(merge)
	if err != nil {
		return err
	}
	if !s.corrupt {
		// A file of format 1 would win over what is written here.
		if err := s.ready(); err != nil {
			return err
		}
	}
	s.background.Wait()
	before := s.generation
	s.mu.Lock()
	s.newest, s.kept = 0, 0 // nothing is removed
	s.mu.Unlock()
	if installed, err := s.begin(isRestart, s.number, sorted(all)); err != nil {
		if installed && s.journal != nil {
			s.distrust()
		}
		return err
	}
	s.mu.Lock()
	s.records = all
	s.mu.Unlock()
	_ = s.writeMark() // a folder without it is read too; the next commit tries again
	s.rename(endingOld, func(g uint64, _ string) bool { return g <= before })
	return nil
}

// merged returns what merge makes of what the store holds. writing is held.
func (s *Store) merged(merge Merge) (map[id]Record, error) {
	s.mu.Lock()
	found := &Found{records: maps.Clone(s.records)}
	s.mu.Unlock()
	_, old := found.records[behind]
	found.Whole = !s.corrupt && !old
	records, settled, err := merge(found)
	if err != nil {
		return nil, err
	}
	all := map[id]Record{}
	for _, r := range records {
		if err := check(r); err != nil {
			return nil, err
		}
	}
	put(all, records)
	if !settled {
		put(all, []Record{{Kind: behind.kind, Key: behind.key, Version: 1, Data: []byte("a backup was restored")}})
	}
	return all, nil
}

// readBackup reads a backup to its end.
func readBackup(r io.Reader) ([]Record, error) {
	b := backupReader{sum: sha256.New(), seen: map[id]bool{}}
	limited := &io.LimitedReader{R: r, N: MaxBackup}
	lines := bufio.NewScanner(limited)
	lines.Buffer(nil, maxBackupLine)
	for lines.Scan() {
		if err := b.line(lines.Bytes()); err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrBackup, b.lines, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%w: line %d: %w", ErrBackup, b.lines+1, err)
	}
	if limited.N == 0 {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrBackup, MaxBackup)
	}
	if !b.ended {
		return nil, fmt.Errorf("%w: it is cut off behind line %d", ErrBackup, b.lines)
	}
	return b.records, nil
}

type backupReader struct {
	sum     hash.Hash
	lines   int
	ended   bool
	records []Record
	seen    map[id]bool
}

func (b *backupReader) line(text []byte) error {
	b.lines++
	if b.ended {
		return errors.New("text after the end")
	}
	if b.lines == 1 {
		var h backupHead
		if err := strict(text, &h); err != nil || h.Lorawand != backupMagic {
			return errors.New("it does not begin as a backup of lorawand")
		}
		if h.Format != backupFormat {
			return fmt.Errorf("%w: format %d, this version knows %d", ErrFormat, h.Format, backupFormat)
		}
	} else if bytes.HasPrefix(text, []byte(`{"records":`)) {
		var end backupEnd
		if err := strict(text, &end); err != nil {
			return err
		}
		if end.Records != int64(len(b.records)) || end.SHA256 != hex.EncodeToString(b.sum.Sum(nil)) {
			return fmt.Errorf("wrong check sum, or %d records in place of %d", len(b.records), end.Records)
		}
		b.ended = true
	} else if err := b.record(text); err != nil {
		return err
	}
	b.sum.Write(text)
	b.sum.Write([]byte{'\n'})
	return nil
}

func (b *backupReader) record(text []byte) error {
	var l backupRecord
	if err := strict(text, &l); err != nil {
		return err
	}
	r := Record{Kind: l.Kind, Key: l.Key, Version: l.Version, Data: l.Base64}
	if l.JSON != nil {
		r.Data = slices.Clone([]byte(l.JSON))
	}
	if (l.JSON == nil) == (l.Base64 == nil) {
		return errors.New("a record has either json or base64")
	}
	if err := check(r); err != nil {
		return err
	}
	i := id{r.Kind, r.Key}
	if b.seen[i] || r.Kind == behind.kind {
		return fmt.Errorf("a second record of kind %.40q, key %.80q", r.Kind, r.Key)
	}
	b.seen[i] = true
	b.records = append(b.records, r)
	return nil
}

// strict reads one JSON value that has no other fields.
func strict(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if d.InputOffset() != int64(len(text)) {
		return errors.New("text after the JSON")
	}
	return nil
}
