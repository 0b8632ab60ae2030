package store

import (
	"maps"
	"os"
)

// What the tests look at from outside: they need storetest, which imports store.
type ID = id

const (
	GroupMark     = groupMark
	HeaderSize    = headerSize
	MarkName      = markName
	LockName      = lockName
	Format1Name   = format1Name
	EndingOld     = endingOld
	EndingNew     = endingNew
	EndingDamaged = endingDamaged
	PageSize      = pageSize
	PartSize      = partSize
	MaxData       = maxData
	MaxBackupLine = maxBackupLine
	Magic         = magic
)

var (
	AppendRecords   = appendRecords
	CheckFileSystem = checkFileSystem
	DecodeFormat1   = decodeFormat1
	IsFormat1       = isFormat1
	JournalName     = journalName
	NoSpace         = noSpace
	ParseName       = parseName
	Put             = put
	ParseBackup     = readBackup
	SnapshotName    = snapshotName
	Sorted          = sorted
	WriteBackup     = writeBackup
	Castagnoli      = castagnoli
)

// Early has the journal compacted when it is larger than n bytes.
func (o Options) Early(n int64) Options {
	o.journalFloor = n
	return o
}

// Inline has snapshots written by the goroutine that commits.
func (o Options) Inline() Options {
	o.inline = true
	return o
}

// All returns every record.
func (s *Store) All() map[ID]Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.records)
}

// SetBehind has the store say that it is behind.
func (s *Store) SetBehind() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records[behind] = Record{behind.kind, behind.key, 1, []byte("x")}
}

// Unmarked removes the record of Behind from records.
func Unmarked(records map[ID]Record) map[ID]Record {
	delete(records, behind)
	return records
}

// Wait waits for the snapshot that is being written.
func (s *Store) Wait() { s.background.Wait() }

// Interrupt has the snapshot that is being written end early.
func (s *Store) Interrupt() { s.stop.Store(true) }

// Journal returns the file that commits are appended to.
func (s *Store) Journal() File { return s.journal.f }

// IsDirect reports whether a file is written to directly.
func IsDirect(f File) bool {
	d, ok := f.(*directFile)
	return ok && d.direct != nil
}

// Refuse has the kernel refuse to write to a file directly, with EINVAL. It returns false for a file
// to which nothing is written directly.
func Refuse(f File) bool {
	d, ok := f.(*directFile)
	if !ok || d.direct == nil {
		return false
	}
	_ = d.direct.Close()
	var err error
	d.direct, err = os.OpenFile("/proc/self/oom_score_adj", os.O_WRONLY, 0) // takes numbers only
	return err == nil
}
