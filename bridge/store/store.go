// Package store keeps records (kind, key, version, bytes) in a folder of plain
// files. What the bytes mean is known to the room that wrote them.
//
// Everything is loaded when the store is opened, and written as one file on
// each commit: a temporary file, synced, then renamed over the old one, then
// the folder synced. So a crash leaves the old state or the new one.
//
// The file: the text "lorawand", the format in 4 bytes, then for each record
// its length in 4 bytes, its CRC-32C in 4 bytes, and
//
//	kind: 1 byte of length, text; key: 2 bytes of length, text;
//	version: 1 byte; data: the rest
//
// and an end: the length 0xffffffff and the number of records in 4 bytes.
// Numbers are little-endian, on every CPU. No file is ever mapped into memory:
// JFFS2 refuses that.
package store

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// Reasons for not opening a store.
var (
	ErrLocked    = errors.New("in use by another process")
	ErrCorrupt   = errors.New("damaged")
	ErrFormat    = errors.New("written by a newer version")
	ErrEphemeral = errors.New("on a file system in memory, which a restart empties; set store.ephemeral = true to allow that")
)

// Record is what one room keeps under one key.
type Record struct {
	Kind    string // 1 to 255 bytes
	Key     string // up to 65535 bytes
	Version uint8  // of Data
	Data    []byte // nil deletes the record
}

// Options configures a Store.
type Options struct {
	Ephemeral bool // a file system in memory will do
}

const (
	magic      = "lorawand"
	format     = 1
	endMark    = 0xffffffff
	maxRecord  = 16 << 20
	stateName  = "state"
	lockName   = "lock"
	folderMode = 0o700
	fileMode   = 0o600
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type id struct{ kind, key string }

// Store is an open store. It may be used by several goroutines.
type Store struct {
	dir  string
	lock *os.File

	mu      sync.Mutex
	records map[id]Record
	written int64
}

// Open opens the store in a folder, which it makes if need be, and locks it.
// It returns ErrLocked, ErrCorrupt, ErrFormat or ErrEphemeral, or what the
// file system says.
func Open(dir string, o Options) (*Store, error) {
	if err := os.MkdirAll(dir, folderMode); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := checkFileSystem(dir, o); err != nil {
		return nil, fmt.Errorf("store: %s: %w", dir, err)
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return nil, fmt.Errorf("store: %s: %w", dir, err)
	}
	s := &Store{dir: dir, lock: lock}
	if s.records, err = load(filepath.Join(dir, stateName)); err != nil {
		lock.Close()
		return nil, fmt.Errorf("store: %s: %w", dir, err)
	}
	return s, nil
}

func checkFileSystem(dir string, o Options) error {
	if o.Ephemeral {
		return nil
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return err
	}
	// The type has 32 bits, and its sign depends on the CPU.
	if t := uint32(st.Type); t == unix.TMPFS_MAGIC || t == unix.RAMFS_MAGIC {
		return ErrEphemeral
	}
	return nil
}

func lockFolder(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, ErrLocked
		}
		return nil, err
	}
	return f, nil
}

// Close frees the folder.
func (s *Store) Close() error { return s.lock.Close() }

// Records returns the records of a kind, sorted by key.
func (s *Store) Records(kind string) []Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Record
	for i, r := range s.records {
		if i.kind == kind {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b Record) int { return cmp.Compare(a.Key, b.Key) })
	return out
}

// Written returns how many bytes were written since the store was opened.
func (s *Store) Written() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.written
}

// Commit puts records into the store, all or none. When it returns nil they
// are there after a power cut too.
func (s *Store) Commit(records ...Record) error {
	for _, r := range records {
		if len(r.Kind) == 0 || len(r.Kind) > 255 || len(r.Key) > 65535 || len(r.Data) > maxRecord/2 {
			return fmt.Errorf("store: a record of kind %.40q with a key of %d and data of %d bytes", r.Kind, len(r.Key), len(r.Data))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	undo := make(map[id]Record, len(records))
	for _, r := range records {
		i := id{r.Kind, r.Key}
		if _, noted := undo[i]; !noted {
			undo[i] = s.records[i]
		}
		if r.Data == nil {
			delete(s.records, i)
			continue
		}
		r.Data = slices.Clone(r.Data)
		s.records[i] = r
	}
	if err := s.write(); err != nil {
		for i, r := range undo {
			if r.Kind == "" {
				delete(s.records, i)
			} else {
				s.records[i] = r
			}
		}
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// write writes all records as a new state file. The lock is held.
func (s *Store) write() error {
	b := encode(s.records)
	name := filepath.Join(s.dir, stateName)
	if err := writeSynced(name+".new", b); err != nil {
		return errors.Join(err, removeIfThere(name+".new"))
	}
	if err := os.Rename(name+".new", name); err != nil {
		return err
	}
	s.written += int64(len(b))
	return syncFolder(s.dir)
}

func writeSynced(name string, b []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fileMode)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func removeIfThere(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// encode writes the records in a fixed order, so that equal states are equal files.
func encode(records map[id]Record) []byte {
	ids := make([]id, 0, len(records))
	for i := range records {
		ids = append(ids, i)
	}
	slices.SortFunc(ids, func(a, b id) int { return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.key, b.key)) })
	b := binary.LittleEndian.AppendUint32([]byte(magic), format)
	for _, i := range ids {
		b = appendRecord(b, records[i])
	}
	b = binary.LittleEndian.AppendUint32(b, endMark)
	return binary.LittleEndian.AppendUint32(b, uint32(len(ids)))
}

func appendRecord(b []byte, r Record) []byte {
	size := 1 + len(r.Kind) + 2 + len(r.Key) + 1 + len(r.Data)
	b = binary.LittleEndian.AppendUint32(b, uint32(size))
	crcAt := len(b)
	b = append(b, 0, 0, 0, 0)
	b = append(append(b, byte(len(r.Kind))), r.Kind...)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(r.Key)))
	b = append(append(b, r.Key...), r.Version)
	b = append(b, r.Data...)
	binary.LittleEndian.PutUint32(b[crcAt:], crc32.Checksum(b[crcAt+4:], castagnoli))
	return b
}

// load reads a state file. One that does not exist is an empty state.
func load(name string) (map[id]Record, error) {
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return map[id]Record{}, nil
	}
	if err != nil {
		return nil, err
	}
	records, err := decode(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return records, nil
}

func decode(b []byte) (map[id]Record, error) {
	whole := len(b)
	if len(b) < len(magic)+4 || string(b[:len(magic)]) != magic {
		return nil, fmt.Errorf("%w: it does not begin as a store of lorawand", ErrCorrupt)
	}
	switch f := binary.LittleEndian.Uint32(b[len(magic):]); {
	case f > format:
		return nil, fmt.Errorf("%w: format %d, this version knows %d", ErrFormat, f, format)
	case f == 0:
		return nil, fmt.Errorf("%w: format 0", ErrCorrupt)
	}
	b = b[len(magic)+4:]
	records := map[id]Record{}
	for {
		at := whole - len(b)
		if len(b) < 8 {
			return nil, fmt.Errorf("%w: cut off at byte %d", ErrCorrupt, at)
		}
		size, sum := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
		if size == endMark {
			if int(sum) != len(records) || len(b) != 8 {
				return nil, fmt.Errorf("%w: %d records, its end says %d, at byte %d", ErrCorrupt, len(records), sum, at)
			}
			return records, nil
		}
		b = b[8:]
		if size > maxRecord || int(size) > len(b) {
			return nil, fmt.Errorf("%w: a record of %d bytes at byte %d", ErrCorrupt, size, at)
		}
		r, ok := decodeRecord(b[:size])
		if crc32.Checksum(b[:size], castagnoli) != sum || !ok {
			return nil, fmt.Errorf("%w: wrong check sum at byte %d", ErrCorrupt, at)
		}
		records[id{r.Kind, r.Key}] = r
		b = b[size:]
	}
}

func decodeRecord(b []byte) (r Record, ok bool) {
	if len(b) < 1 || len(b) < 1+int(b[0])+2 {
		return r, false
	}
	r.Kind, b = string(b[1:1+b[0]]), b[1+b[0]:]
	n := int(binary.LittleEndian.Uint16(b))
	if len(b) < 2+n+1 {
		return r, false
	}
	r.Key, r.Version, r.Data = string(b[2:2+n]), b[2+n], b[2+n+1:]
	return r, r.Kind != ""
}
