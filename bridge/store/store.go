// Package store keeps records (kind, key, version, bytes) in a folder of plain
// files. The meaning of the bytes is known to the package that wrote them.
//
// The whole store is loaded when it is opened. A commit appends one group to a
// journal and syncs it: after a power cut all of its records are there or none.
// When the journal has grown to three times the size of a snapshot, and at least to
// 128 KiB, the next commits go to a new journal, and a goroutine writes a snapshot
// of the state before it: it writes a temporary file, syncs it, renames it and
// syncs the folder. A snapshot and the journal that follows it have the same
// number; together they are a generation.
//
//	state              tells older versions that the folder is not for them
//	lock               is held while the store is open
//	snapshot-00000007  the generation before
//	journal-00000007
//	snapshot-00000008  the newest one
//	journal-00000008
//
// The generation before the newest one is kept: if the newest snapshot cannot be
// read, the older snapshot and both journals give the same state. Commits behind
// damage in a journal are lost, and reported as lost: see Store.Behind. Only damage
// at the very end of the last journal looks like a write that a power cut has
// interrupted: it is dropped, and counted in Stats.DroppedTail.
//
// No file is mapped into memory, because JFFS2 refuses that. Numbers are
// little-endian on every CPU. format.go has the layout of the files. The single
// file of format 1 is migrated when the store is opened, and a copy of it is kept.
package store

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
)

// Reasons for not opening a store.
var (
	ErrLocked    = errors.New("in use by another process")
	ErrCorrupt   = errors.New("damaged")
	ErrFormat    = errors.New("written by a newer version")
	ErrEphemeral = errors.New("on a file system in memory, which a restart empties; " +
		"set store.ephemeral = true to allow that")
)

// ErrClosed is returned by methods that write to a closed store.
var ErrClosed = errors.New("the store is closed")

// Record is one value with its kind and key.
type Record struct {
	Kind    string // 1 to 255 bytes of UTF-8; "store" is reserved for the store
	Key     string // up to 65535 bytes of UTF-8
	Version uint8  // of the layout of Data
	Data    []byte // up to 8 MiB; nil deletes the record
}

type id struct{ kind, key string }

// behind identifies the record that makes Store.Behind true.
var behind = id{"store", "behind"}

// Options configures a Store.
type Options struct {
	Ephemeral bool         // accept a file system in memory
	FS        FS           // default: the folder, of the operating system
	Logger    *slog.Logger // default slog.Default()

	// The journal is compacted when it is larger than so many bytes, and larger
	// than journalRatio snapshots. Default 128 KiB.
	journalFloor int64
	// The goroutine that commits also writes the snapshots, so that tests know the
	// order of the file operations.
	inline bool
}

// journalFloor keeps a small store from writing a snapshot after a few commits.
// journalRatio limits what snapshots add to the bytes of the journal to a third.
const (
	journalFloor = 128 << 10
	journalRatio = 3
)

// Store is an open store. It may be used by several goroutines.
type Store struct {
	opts Options
	fs   FS
	log  *slog.Logger
	lock io.Closer
	wear wear

	stop       atomic.Bool
	background sync.WaitGroup // the snapshot that is being written

	// writing is held while a commit is written, and guards the fields below. A
	// goroutine that needs both locks takes writing first.
	writing    sync.Mutex
	closed     bool
	corrupt    bool    // no state could be read; only a backup can be restored
	journal    *output // nil: append to resume, or begin a generation if that is nil too
	resume     *resume
	restart    bool   // the next generation does not continue the files that were read
	generation uint64 // number of the newest generation
	format1    []byte // the file of format 1 until it is migrated
	hasMark    bool

	// mu guards the fields below. It is never held during a file operation.
	mu         sync.Mutex
	records    map[id]Record
	number     uint64 // number of the last commit; writing is held where it changes
	compacting bool
	newest     uint64 // generation of the newest snapshot; 0: none
	kept       uint64 // the oldest generation whose files are kept
	older      int64  // bytes of the journals since the newest snapshot, without the current journal
	retryAt    int64  // size of the journals, in bytes, at which the next attempt to compact follows after a failure
	health     error
	stats      Stats
}

// Open opens the store in a folder and locks it. It makes the folder if there is
// none. It returns ErrLocked, ErrCorrupt, ErrFormat, ErrEphemeral, or an error of
// the file system. A store that can be read but not written is opened too: Health
// returns the reason, and commits fail until the store can be written.
func Open(dir string, o Options) (*Store, error) {
	s, err := open(dir, o, false)
	if err != nil {
		return nil, fmt.Errorf("store: %s: %w", dir, err)
	}
	return s, nil
}

// open opens a store. With restore it also opens a corrupt one, and leaves its
// files alone.
func open(dir string, o Options, restore bool) (*Store, error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.journalFloor == 0 {
		o.journalFloor = journalFloor
	}
	if o.FS == nil {
		if err := makeFolder(dir); err != nil {
			return nil, err
		}
		if err := checkFileSystem(dir); err != nil && !(o.Ephemeral && errors.Is(err, ErrEphemeral)) {
			return nil, err
		}
		o.FS = osFS{dir}
	}
	lock, err := o.FS.Lock()
	if err != nil {
		return nil, err
	}
	f, err := readFolder(o.FS)
	if err != nil && !(restore && errors.Is(err, ErrCorrupt)) {
		lock.Close()
		return nil, err
	}
	s := &Store{opts: o, fs: o.FS, log: o.Logger, lock: lock}
	if err != nil {
		s.corrupt, f.records, f.number = true, map[id]Record{}, f.seen
	}
	s.take(f)
	if !restore {
		s.mend(f)
	}
	return s, nil
}

// take takes over the state that was found.
func (s *Store) take(f found) {
	s.records, s.number, s.generation, s.newest = f.records, f.number, f.generation, f.start
	s.resume, s.format1, s.hasMark = f.resume, f.format1, f.hasMark
	// Until the new snapshot is there, the new journal must not hide that commits
	// are missing.
	s.restart = f.format1 != nil || f.lost != ""
	s.stats = Stats{DroppedTail: f.dropped, Damage: f.damage, SnapshotSize: f.snapshot, JournalSize: f.journals}
	if f.resume != nil {
		s.older = f.journals - f.resume.size
		s.stats.JournalSize = s.older + f.resume.end
	}
}

// mend logs what was damaged. After damage, and for the file of format 1, it begins
// a new generation at once; if that fails, the next commit tries again.
func (s *Store) mend(f found) {
	for _, d := range f.damage {
		s.log.Error("the store is damaged", "file", d)
	}
	if f.lost != "" {
		s.log.Error("the store has lost commits: its state is older than what was answered", "reason", f.lost)
	}
	if f.dropped > 0 {
		s.log.Warn("a power cut interrupted a write to the store; the incomplete write is dropped", "bytes", f.dropped)
	}
	if len(f.damage) == 0 && f.lost == "" && f.format1 == nil {
		return
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.ready(); err != nil {
		s.health, s.stats.LastError = err, err
		s.log.Error("the store cannot be written", "error", err)
		return
	}
	s.quarantine(f.damaged)
}

// Close waits until files are written, and unlocks the folder.
func (s *Store) Close() error {
	s.stop.Store(true)
	s.writing.Lock()
	defer s.writing.Unlock()
	s.background.Wait()
	if s.closed {
		return nil
	}
	s.closed = true
	var err error
	if s.journal != nil {
		err = s.journal.f.Close()
	}
	return errors.Join(err, s.lock.Close())
}

// Records returns the records of a kind, sorted by key. The caller must not change
// their data.
func (s *Store) Records(kind string) []Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return recordsOf(s.records, kind)
}

func recordsOf(records map[id]Record, kind string) []Record {
	var out []Record
	for i, r := range records {
		if i.kind == kind {
			out = append(out, r)
		}
	}
	sortRecords(out)
	return out
}

// sortRecords sorts by kind and key. A sort of package slices of its own would be 13 kB.
func sortRecords(list []Record) {
	sort.Slice(list, func(i, j int) bool {
		a, b := &list[i], &list[j]
		return a.Kind < b.Kind || a.Kind == b.Kind && a.Key < b.Key
	})
}

func sorted(records map[id]Record) []Record {
	out := slices.Collect(maps.Values(records))
	sortRecords(out)
	return out
}

// Commit stores records, all or none, in their order. After it has returned nil,
// the records survive a power cut. When it returns an error, the store is as
// before, and the next Commit repeats the steps that failed; but after a restart
// the records may be there.
func (s *Store) Commit(records ...Record) error {
	if err := checkAll(records); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if len(records) == 0 {
		return nil
	}
	kept := slices.Clone(records)
	for i := range kept {
		kept[i].Data = slices.Clone(kept[i].Data)
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	err := s.append(appendGroup(nil, groupMark, group{s.number + 1, appendRecords(nil, kept)}))
	s.mu.Lock()
	s.health = err
	if err == nil {
		put(s.records, kept)
		s.number++
		s.stats.Commits++
	}
	due := err == nil && s.due()
	s.mu.Unlock()
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if due {
		s.compact()
	}
	return nil
}

// Behind reports whether the records may be older than those that Commit has
// confirmed: data were damaged and lost, or a backup was restored and not settled,
// see Merge. Numbers that must never go back (FCntDown, JoinNonce, DevNonces) then
// have to skip ahead. Behind stays true, also after a restart, until a Commit holds
// CaughtUp.
func (s *Store) Behind() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, yes := s.records[behind]
	return yes
}

// CaughtUp returns the record that makes Behind false. It is committed together
// with the records that skip ahead.
func CaughtUp() Record { return Record{Kind: behind.kind, Key: behind.key} }

// Stats has the state and the counters of a store.
type Stats struct {
	Generation   uint64 // of the current journal; 0: none yet
	Records      int
	JournalSize  int64 // bytes of commits since the newest snapshot
	SnapshotSize int64 // bytes; 0: none yet

	Commits      int64 // since the store was opened, as the fields below
	Compactions  int64 // snapshots that were written
	Written      int64 // bytes, see Store.Written
	BytesWritten int64 // see Store.BytesWritten

	DroppedTail int64    // bytes of a write that a power cut had interrupted, found when the store was opened
	Damage      []string // what could not be read when the store was opened, and why
	Behind      bool     // see Store.Behind
	LastError   error    // the last error of writing; nil: none since the store was opened
}

// Stats returns the state and the counters of the store. It does not wait for the
// disk.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Records = len(s.records)
	_, st.Behind = s.records[behind]
	st.Damage = slices.Clone(st.Damage)
	st.Written, st.BytesWritten = s.Written(), s.BytesWritten()
	return st
}

// Health returns why the last write failed, or nil. It does not wait for the disk.
func (s *Store) Health() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.health
}

// Written returns how many bytes the store has handed to the file system since it
// was opened.
func (s *Store) Written() int64 { return s.wear.bytes.Load() }

// BytesWritten returns how many bytes the flash has written for them: each touched
// page of 4 KiB counts as a whole, and again after each sync. Writes of the file
// system for itself are not counted.
func (s *Store) BytesWritten() int64 { return s.wear.flash.Load() }
