package journal

import "fmt"

// Entry is a message of a journal.
type Entry struct {
	Number  uint64
	Message []byte
}

// reader holds the segment that is read.
type reader struct {
	at      uint64 // number of the next message to return
	last    uint64 // behind the last message that was returned
	segment uint64 // number of the segment
	data    []byte // its blocks that were not read
	batch   []Entry
}

// Next returns the message behind the last one that it has returned. ok is false where
// there is none yet.
func (j *Journal) Next() (e Entry, ok bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	r := &j.reading
	r.at = max(r.at, j.cursor)
	for {
		for len(r.batch) > 0 {
			e, r.batch = r.batch[0], r.batch[1:]
			if e.Number >= r.at {
				r.at = e.Number + 1
				r.last = r.at
				return e, true, nil
			}
		}
		if len(r.data) > 0 {
			j.readBlock()
			continue
		}
		if more, err := j.readSegment(); err != nil || !more {
			if err == nil {
				j.skip()
			}
			return Entry{}, false, err
		}
	}
}

// Rewind lets Next begin with the first message that is not acknowledged.
func (j *Journal) Rewind() {
	j.mu.Lock()
	j.reading = reader{}
	j.mu.Unlock()
}

// readSegment reads the first segment that has the next message or a later one. mu is
// held.
func (j *Journal) readSegment() (more bool, err error) {
	r := &j.reading
	for _, s := range j.list {
		if s.count(r.at) == 0 {
			continue
		}
		data, err := j.fs.ReadFile(s.name())
		if err != nil {
			return false, fmt.Errorf("upstream journal: %w", err)
		}
		r.segment, r.data = s.number, data[:min(int64(len(data)), s.size)]
		return true, nil
	}
	*r = reader{at: r.at, last: r.last}
	return false, nil
}

// skip moves the cursor behind what cannot be read at the end of the journal, once all before it is acknowledged:
// nobody will acknowledge it. mu is held.
func (j *Journal) skip() {
	if r := &j.reading; j.left > 0 && r.at > j.cursor && r.last <= j.cursor {
		j.ack(r.at - 1)
	}
}

// unreadable counts messages that cannot be read as lost, once. mu is held.
func (j *Journal) unreadable(from, next uint64) {
	j.broken++
	if from = max(from, j.counted); from < next {
		j.lost += int64(next - from)
		j.counted = next
	}
}

// readBlock reads the next block of the segment. What cannot be read is passed over and
// counted as lost. mu is held.
func (j *Journal) readBlock() {
	r := &j.reading
	b, n := parseBlock(r.data)
	if n == 0 {
		j.passOver(len(r.data))
		r.data = nil
		return
	}
	r.data = r.data[n:]
	if b.count == 0 || b.first+uint64(b.count) <= r.at {
		return
	}
	messages, err := b.messages()
	if err != nil {
		j.unreadable(max(b.first, r.at), b.first+uint64(b.count))
		r.at = b.first + uint64(b.count)
		return
	}
	r.batch = r.batch[:0]
	for i, m := range messages {
		r.batch = append(r.batch, Entry{b.first + uint64(i), m})
	}
}

// passOver goes on behind the segment that is read. mu is held.
func (j *Journal) passOver(unread int) {
	r := &j.reading
	for _, s := range j.list {
		if s.number == r.segment && s.count(r.at) > 0 {
			j.unreadable(s.next()-uint64(s.count(r.at)), s.next())
			r.at = s.next()
			j.log.Warn("a segment of the upstream journal cannot be read to its end", "file", s.name(), "bytes", unread)
		}
	}
}
