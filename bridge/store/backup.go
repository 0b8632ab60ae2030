package store

import (
	"bufio"
	"bytes"
	"cmp"
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

// A backup is one text file with one JSON object in each line: a header, the
// records, and an end with the SHA-256 of all bytes before that line. Data in JSON
// are written as they are, other data in base64.
//
//	{"lorawand":"backup","format":1}
//	{"kind":"counters","key":"app1/dev1","version":1,"base64":"AQE…"}
//	{"kind":"device","key":"app1/dev1","version":1,"json":{"ID":…}}
//	{"records":2,"sha256":"9f86…"}
const (
	backupMagic  = "backup"
	backupFormat = 1

	maxBackupLine = maxData*3/2 + 1<<17*6 // bytes: data in base64, and a key in which each byte is escaped
)

// MaxBackup is the size of the largest backup that can be read, bytes.
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

// ErrBackup is the reason for not restoring a file that is not a complete backup.
var ErrBackup = errors.New("not a whole backup")

// Backup writes all records as one text file. It is a picture of one moment, and
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

// appendBackupRecord writes the line by hand, because encoding/json would change
// the bytes of a record that is JSON.
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

// appendJSON appends a string or bytes as JSON. Both can always be encoded.
func appendJSON(b []byte, v any) []byte {
	j, _ := json.Marshal(v)
	return append(b, j...)
}

// isLine reports whether data are JSON that is read back byte for byte.
func isLine(b []byte) bool {
	return json.Valid(b) && utf8.Valid(b) && !bytes.ContainsAny(b, "\r\n") && len(bytes.TrimSpace(b)) == len(b)
}

// Backup is a backup that was read.
type Backup struct{ records []Record }

// Records returns the records of a kind in the order of the file.
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

// Found is the content of a store that a backup is about to replace.
type Found struct {
	records map[id]Record
	// Whole is true if the records are those that Commit confirmed last. If the
	// store was damaged, they may be older; if it cannot be read, there are none.
	Whole bool
}

// Records returns the records of a kind, sorted by key.
func (f *Found) Records(kind string) []Record { return recordsOf(f.records, kind) }

// Merge returns the records that a store is to hold in place of the old ones. If
// settled is false, counters that must never go back may have gone back: Behind is
// true afterwards.
type Merge func(old *Found) (records []Record, settled bool, err error)

// All returns the records of the backup in the order of the file.
func (b *Backup) All() []Record { return slices.Clone(b.records) }

// Restore replaces the records of the store in a folder by the result of merge. It
// replaces all of them or, with an error, none; after an error of the file system
// the next Open finds either the old or the new records. The folder may be empty,
// and the store may be damaged. The files of the old store are kept with the ending
// ".old". Restore returns the errors of Open and of merge.
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

// Restore is Restore for an open store. Callers that have loaded records must load
// them again.
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
		// Open prefers a file of format 1 to the files that are written here.
		if err := s.ready(); err != nil {
			return err
		}
	}
	s.background.Wait()
	before := s.generation
	s.mu.Lock()
	s.newest, s.kept = 0, 0 // keep the files of all generations
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
	_ = s.writeMark() // the folder can be read without the mark; the next commit writes it
	s.rename(endingOld, func(g uint64, _ string) bool { return g <= before })
	return nil
}

// merged returns the result of merge for the present records. The caller holds
// writing.
func (s *Store) merged(merge Merge) (map[id]Record, error) {
	s.mu.Lock()
	records := maps.Clone(s.records)
	s.mu.Unlock()
	return merged(records, !s.corrupt, merge)
}

// readBackup reads a whole backup.
func readBackup(r io.Reader) ([]Record, error) {
	b := backupReader{sum: sha256.New(), seen: map[id]bool{}}
	limited := &io.LimitedReader{R: r, N: MaxBackup}
	lines := bufio.NewScanner(limited)
	lines.Buffer(nil, maxBackupLine)
	for lines.Scan() {
		if err := cmp.Or(lines.Err(), b.line(lines.Bytes())); err != nil { // a line that breaks off is the last
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

// strict reads one JSON value. Unknown fields are an error.
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
