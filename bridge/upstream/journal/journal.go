// Package journal keeps messages in files until they are acknowledged. What is appended
// is synced before Append returns. A cursor says which message is the next; it moves by
// acknowledgements and may lag behind them by what was not yet stored with StoreCursor.
// The journal is bounded: when it is full, or too old, its oldest segment goes; where it
// has several owners, shares.go says whose.
//
// A segment is a file of blocks (block.go). A block has some messages, compressed
// together, or the cursor. Numbers of messages rise; some may be missing.
package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"lorawand/bridge/order"
	"lorawand/bridge/store"
)

// Sizes, in bytes.
const (
	MinBytes    = 256 << 10 // of a journal
	MaxMessage  = 96 << 10  // of a message; a packet for MQTT clients has at most 64 KiB
	maxSegment  = 256 << 10 // a segment is read as a whole
	segments    = 8         // at least so many fit: the share that goes when the journal is full
	maxRawBlock = 64 << 10  // of messages in a block; one message may be larger
)

const suffix = ".journal"

// Options configures a Journal.
type Options struct {
	Bytes int64         // of all files together, at least MinBytes
	Age   time.Duration // older messages go, where the calendar is known; 0: none do
	// Owner returns whose a message is; nil: all are of one.
	Owner  func(message []byte) string
	Logger *slog.Logger
}

// Stats describes a journal.
type Stats struct {
	Messages int64     // that are not acknowledged
	Bytes    int64     // of the files
	Oldest   time.Time // when the oldest was appended; zero where that is not known
	Lost     int64     // messages that went unacknowledged since Open
	Damaged  int64     // blocks that could not be read since Open
}

// Journal is a journal. Its methods may be called by several goroutines, but Next by
// one only.
type Journal struct {
	o   Options
	fs  store.FS
	log *slog.Logger

	mu     sync.Mutex
	list   []*segment // by number; the last may be open for writing
	file   store.File // of the last segment; nil: the next block begins another one
	number uint64     // of the next segment
	next   uint64     // number of the next message that is appended
	cursor uint64     // of the first that is not acknowledged
	stored uint64     // the cursor in the files
	gone   bool       // its block may be gone from them
	bytes  int64
	owners map[string]int64 // bytes of the files by owner; of blocks of older versions nobody's
	left   int64            // messages from cursor on
	lost   int64
	broken int64

	counted uint64 // messages up to here that cannot be read are in lost

	reading reader
	encoder encoder
}

// segment is a file.
type segment struct {
	number   uint64
	size     int64
	messages []span // of its blocks
	newest   int64  // when its last block was written, Unix seconds; 0: not known
	oldest   int64
	owners   map[string]int64 // bytes by owner
}

// span is a run of numbers of messages.
type span struct{ first, next uint64 }

func (s *segment) name() string { return fmt.Sprintf("%016x", s.number) + suffix }

// next returns the number behind the last message.
func (s *segment) next() uint64 {
	if len(s.messages) == 0 {
		return 0
	}
	return s.messages[len(s.messages)-1].next
}

// count returns how many messages there are from a number on.
func (s *segment) count(from uint64) (n int64) {
	for _, m := range s.messages {
		if m.next > from {
			n += int64(m.next - max(m.first, from))
		}
	}
	return n
}

// Open reads what is in a folder.
func Open(folder store.FS, o Options) (*Journal, error) {
	j := &Journal{o: o, fs: folder, log: o.Logger, owners: map[string]int64{}}
	if j.log == nil {
		j.log = slog.Default()
	}
	j.o.Bytes = max(o.Bytes, MinBytes)
	names, err := folder.List()
	if err != nil {
		return nil, fmt.Errorf("upstream journal: %w", err)
	}
	for _, name := range names {
		digits, ok := strings.CutSuffix(name, suffix)
		number, err := strconv.ParseUint(digits, 16, 64)
		if ok && err == nil {
			j.list = append(j.list, &segment{number: number})
		}
	}
	order.By(j.list, func(a, b *segment) int {
		if a.number < b.number {
			return -1
		}
		return 1
	})
	for _, s := range j.list {
		if err := j.load(s); err != nil {
			return nil, err
		}
		j.number = s.number + 1
	}
	j.stored = j.cursor
	for _, s := range j.list {
		j.left += s.count(j.cursor)
	}
	j.clean()
	return j, nil
}

// load reads what a segment has.
func (j *Journal) load(s *segment) error {
	data, err := j.fs.ReadFile(s.name())
	if err != nil {
		return fmt.Errorf("upstream journal: %w", err)
	}
	s.size = int64(len(data))
	j.bytes += s.size
	for len(data) > 0 {
		b, n := parseBlock(data)
		if n == 0 {
			// A power cut leaves such an end; what is behind it was not promised to anybody.
			j.broken++
			j.log.Warn("the end of a segment of the upstream journal cannot be read", "file", s.name(), "bytes", len(data))
			return nil
		}
		data = data[n:]
		j.credit(s, b.owners, int64(n))
		if b.count == 0 {
			j.cursor = max(j.cursor, b.first)
			j.next = max(j.next, b.first)
			continue
		}
		s.add(b)
		j.next = max(j.next, s.next())
	}
	return nil
}

func (s *segment) add(b block) {
	s.messages = append(s.messages, span{b.first, b.first + uint64(b.count)})
	if s.newest = b.at; s.oldest == 0 {
		s.oldest = b.at
	}
}

// Stats returns what the journal has.
func (j *Journal) Stats() Stats {
	j.mu.Lock()
	st := Stats{Messages: j.left, Bytes: j.bytes, Lost: j.lost, Damaged: j.broken}
	for _, s := range j.list {
		if s.oldest > 0 && s.count(j.cursor) > 0 {
			st.Oldest = time.Unix(s.oldest, 0)
			break
		}
	}
	j.mu.Unlock()
	return st
}

// Append stores messages, of which none is longer than MaxMessage, and returns how many
// of the first are done with: stored, or lost because their owner has too much. now is the
// calendar time, or the zero time where it is not known. After an error the others may come
// back from Next all the same.
func (j *Journal) Append(messages [][]byte, now time.Time) (stored int, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	lost := 0
	for stored < len(messages) && err == nil {
		b, batch, taken := j.batch(messages[stored:])
		if b.at = unix(now); b.count > 0 {
			var data []byte
			if data, err = j.encoder.block(b, batch); err == nil {
				err = j.write(b, data)
			}
		}
		if err == nil {
			stored += taken
			lost += taken - b.count
		}
	}
	if err == nil && j.gone {
		err = j.writeCursor()
	}
	if failed := j.sync(); failed != nil {
		stored, lost, err, j.gone = 0, 0, errors.Join(err, failed), true
	}
	j.lost += int64(lost)
	if err != nil {
		err = fmt.Errorf("upstream journal: %w", err)
	}
	return stored, err
}

// batch begins a block with as many of the first messages as go into one. taken is how many
// that are, with those for which there is no room. mu is held.
func (j *Journal) batch(messages [][]byte) (b block, batch [][]byte, taken int) {
	b.first = j.next
	size := 0
	for _, m := range messages {
		if b.count > 0 && (b.count == maxCount || size+len(m) > maxRawBlock) {
			break
		}
		taken++
		owner, length := "", int64(len(m))+1 // its length stands before it
		if j.o.Owner != nil {
			owner = j.o.Owner(m)
		}
		if j.admits(owner, length, b.owners) {
			b.owners.add(owner, length)
			b.count++
			size += len(m)
			batch = append(batch, m)
		}
	}
	return b, batch, taken
}

func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// write writes a block behind the last one. mu is held.
func (j *Journal) write(b block, data []byte) error {
	j.trim(int64(len(data)))
	if err := j.begin(int64(len(data))); err != nil {
		return err
	}
	s := j.list[len(j.list)-1]
	// Its numbers are used up even if it fails: it may be on the disk all the same.
	j.next += uint64(b.count)
	if n, err := j.file.WriteAt(data, s.size); err != nil {
		if n > 0 {
			err = errors.Join(err, j.file.Truncate(s.size))
		}
		j.close()
		return err
	}
	s.size += int64(len(data))
	j.bytes += int64(len(data))
	j.credit(s, b.owners, int64(len(data)))
	if b.count > 0 {
		s.add(b)
		j.left += int64(b.count)
	}
	return nil
}

// begin opens a segment if there is none or if it has no room for more. mu is held.
func (j *Journal) begin(more int64) error {
	if n := len(j.list); n > 0 && j.file != nil && j.list[n-1].size+more <= j.segment() {
		return nil
	}
	if err := j.sync(); err != nil {
		return err
	}
	j.close()
	s := &segment{number: j.number}
	f, err := j.fs.Create(s.name())
	if err != nil {
		return err
	}
	j.number++
	j.file = f
	j.list = append(j.list, s)
	if err := j.fs.SyncDir(); err != nil {
		j.close()
		return err
	}
	return nil
}

// segment returns the size from which on another segment begins.
func (j *Journal) segment() int64 { return min(j.o.Bytes/segments, maxSegment) }

// sync syncs the last segment. mu is held.
func (j *Journal) sync() error {
	if j.file == nil {
		return nil
	}
	err := j.file.Sync()
	if err != nil {
		j.close()
	}
	return err
}

func (j *Journal) close() {
	if j.file != nil {
		_ = j.file.Close()
		j.file = nil
	}
}

// trim removes segments until there is room for more bytes: the oldest of who has more than an
// equal share, and where there is none that has nothing of others, the oldest of all. mu is held.
func (j *Journal) trim(more int64) {
	for len(j.list) > 0 && j.bytes+more > j.o.Bytes {
		if i := j.own(j.largest()); i >= 0 {
			if !j.drop(i) {
				return
			}
		} else if !j.drop(0) {
			return
		}
	}
}

// Expire removes segments whose messages are all too old.
func (j *Journal) Expire(now time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.o.Age == 0 || now.IsZero() {
		return
	}
	limit := now.Add(-j.o.Age).Unix()
	for len(j.list) > 0 && j.list[0].newest > 0 && j.list[0].newest < limit {
		if !j.drop(0) {
			return
		}
	}
}

// drop removes a segment; what is not acknowledged of it is lost. mu is held.
func (j *Journal) drop(i int) bool {
	s := j.list[i]
	n := s.count(j.cursor)
	if !j.remove(i) {
		return false
	}
	j.lost += n
	j.left -= n
	if i == 0 {
		j.cursor = max(j.cursor, s.next())
		return true
	}
	j.gone = true
	if r := &j.reading; r.segment == s.number {
		r.data, r.batch = nil, nil
	}
	return true
}

// remove removes a segment. mu is held.
func (j *Journal) remove(i int) bool {
	s := j.list[i]
	if i == len(j.list)-1 {
		j.close()
	}
	if err := j.fs.Remove(s.name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		j.log.Warn("a segment of the upstream journal cannot be removed", "file", s.name(), "error", err)
		return false
	}
	j.bytes -= s.size
	j.release(s)
	j.list = slices.Delete(j.list, i, i+1)
	return true
}

// Ack says that all messages up to this one are acknowledged.
func (j *Journal) Ack(number uint64) {
	j.mu.Lock()
	j.ack(number)
	j.mu.Unlock()
}

// ack is Ack. mu is held.
func (j *Journal) ack(number uint64) {
	if number < j.cursor {
		return
	}
	for _, s := range j.list {
		j.left -= s.count(j.cursor) - s.count(number+1)
	}
	j.cursor = number + 1
	j.clean()
}

// clean removes the segments of which all is acknowledged. The last one may have the
// cursor: it goes when nothing is left at all, and after the others. mu is held.
func (j *Journal) clean() {
	removed := false
	for len(j.list) > 1 && j.list[0].count(j.cursor) == 0 && j.remove(0) {
		removed = true
	}
	if removed {
		j.syncFolder()
	}
	if len(j.list) == 1 && j.left == 0 && j.remove(0) {
		j.syncFolder()
		// An outage is over: their memory is not needed.
		j.encoder, j.reading = encoder{}, reader{at: j.reading.at, last: j.reading.last}
	}
}

func (j *Journal) syncFolder() {
	if err := j.fs.SyncDir(); err != nil {
		j.log.Warn("the folder of the upstream journal cannot be synced", "error", err)
	}
}

// StoreCursor writes the cursor if it has moved and something is left.
func (j *Journal) StoreCursor() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.cursor == j.stored && !j.gone || j.left == 0 {
		return nil
	}
	err := j.writeCursor()
	if err == nil {
		err = j.sync()
	}
	if err != nil {
		j.gone = true
		return fmt.Errorf("upstream journal: store the cursor: %w", err)
	}
	return nil
}

// writeCursor writes the cursor behind the last block. mu is held.
func (j *Journal) writeCursor() error {
	b := block{first: j.cursor}
	data, err := j.encoder.block(b, nil)
	if err == nil {
		err = j.write(b, data)
	}
	if err == nil {
		j.stored, j.gone = b.first, false
	}
	return err
}

// Close stores the cursor and closes the file.
func (j *Journal) Close() error {
	err := j.StoreCursor()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.close()
	return err
}
