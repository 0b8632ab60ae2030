package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"lorawand/bridge/store"
)

// reader reads the stream from the newest snapshot on, message by message.
type reader struct {
	link *link

	content *store.Content
	number  uint64 // of the last commit in content
	last    uint64 // sequence of the last message that was read
	leader  leader
	parts   gathered
	loading *loading // nil: content is complete
	grown   growth   // what was read since the newest snapshot
}

// leader is who has claimed to lead last.
type leader struct {
	claim
	writer   writer
	epoch    uint64 // sequence of its claim; 0: nobody ever did
	count    uint64 // of its claim, among its messages
	since    time.Time
	resigned bool
}

// gathered are the parts of a group that is not complete.
type gathered struct {
	writer writer
	bytes  []byte
	count  uint32
}

// loading is a snapshot that is being read.
type loading struct {
	end
	writer  writer
	seq     uint64 // of the end
	chunks  uint32
	bytes   []byte // of records that go on
	records []store.Record
	groups  []decoded // behind base
}

type decoded struct {
	number  uint64
	records []store.Record
}

// errGap says that messages are missing: a snapshot has taken their place meanwhile.
var errGap = errors.New("messages are missing")

// start begins at the newest snapshot.
func (r *reader) start(ctx context.Context) error {
	m, err := r.link.get(ctx, query{Last: r.link.subject(isEnd)})
	if err != nil {
		return err
	}
	r.content, r.number, r.last, r.loading, r.parts = store.NewContent(), 0, 0, nil, gathered{}
	r.leader, r.grown = leader{}, growth{}
	if m == nil {
		return nil
	}
	l := &loading{writer: m.writer, seq: m.seq}
	if err := json.Unmarshal(m.body, &l.end); err != nil || l.First == 0 || l.First > m.seq || l.Base >= m.seq {
		return fmt.Errorf("%w: end of a snapshot, message %d", store.ErrCorrupt, m.seq)
	}
	r.loading, r.last = l, min(l.First-1, l.Base)
	r.leader = leader{claim: l.Leader, writer: m.writer, epoch: max(l.Epoch, 1), since: l.Since}
	return nil
}

// read reads what there is. It reports whether there was something of the leader. With errGap it
// has to start again.
func (r *reader) read(ctx context.Context) (heard bool, err error) {
	for {
		m, err := r.link.after(ctx, r.last)
		if m == nil || err != nil {
			if err == nil && r.loading != nil {
				err = errGap
			}
			return heard, err
		}
		if m.kind != isClaim && m.kind != 0 && m.writer != r.leader.writer {
			// The stream has lost its end, and others have written behind what is left.
			return heard, fmt.Errorf("%w: message %d is not of the leader", errGap, m.seq)
		}
		if err := r.apply(m); err != nil {
			return heard, fmt.Errorf("message %d: %w", m.seq, err)
		}
		r.last = m.seq
		heard = heard || m.kind != 0
	}
}

// apply takes the next message.
func (r *reader) apply(m *message) error {
	switch m.kind {
	case isClaim:
		l := leader{writer: m.writer, epoch: m.seq, count: m.count}
		if err := json.Unmarshal(m.body, &l.claim); err != nil {
			return fmt.Errorf("%w: claim: %w", store.ErrCorrupt, err)
		}
		l.since, _ = time.Parse(time.RFC3339Nano, m.at)
		r.leader, r.parts = l, gathered{}
	case isResign:
		r.leader.resigned = true
	case isPart:
		r.grow(m)
		return r.parts.add(m)
	case isGroup:
		return r.group(m)
	case isChunk:
		return r.chunk(m)
	case isEnd:
		return r.ended(m)
	case isBeat:
	}
	return nil
}

// add takes a part. The first one begins a group anew.
func (g *gathered) add(m *message) error {
	place, bytes := uint32(m.body[0])|uint32(m.body[1])<<8|uint32(m.body[2])<<16|uint32(m.body[3])<<24, m.body[4:]
	if place == 0 {
		*g = gathered{writer: m.writer}
	}
	if g.writer != m.writer || g.count != place || len(g.bytes) > maxGroup {
		*g = gathered{} // what is left of one that was given up
		return nil
	}
	g.bytes, g.count = append(g.bytes, bytes...), place+1
	return nil
}

// maxGroup bounds the parts that are kept, bytes: more than a commit has.
const maxGroup = 65 << 20

// group takes a commit.
func (r *reader) group(m *message) error {
	number, parts, bytes := m.numbers()
	if parts > 0 {
		if r.parts.writer != m.writer || r.parts.count != parts {
			return fmt.Errorf("%w: commit %d has %d of %d parts", errGap, number, r.parts.count, parts)
		}
		bytes = append(r.parts.bytes, bytes...)
	}
	r.parts = gathered{}
	if l := r.loading; l != nil && m.seq <= l.Base {
		return nil
	}
	r.grow(m)
	records, err := store.DecodeRecords(bytes)
	if err != nil {
		return fmt.Errorf("commit %d: %w", number, err)
	}
	d := decoded{number, records}
	if r.loading != nil {
		r.loading.groups = append(r.loading.groups, d)
		return nil
	}
	return r.take(d)
}

// grow counts a message of a commit that is behind the newest snapshot.
func (r *reader) grow(m *message) {
	if l := r.loading; l == nil || m.seq > l.Base {
		r.grown.add(&sent{kind: m.kind, body: m.body})
	}
}

// take applies the next commit.
func (r *reader) take(d decoded) error {
	if d.number != r.number+1 {
		return fmt.Errorf("%w: commit %d follows %d", errGap, d.number, r.number)
	}
	r.content.Apply(d.records)
	r.number = d.number
	return nil
}

// chunk takes a part of the snapshot that is being read. Others do not matter.
func (r *reader) chunk(m *message) error {
	l := r.loading
	snapshot, place, bytes := m.numbers()
	if l == nil || l.writer != m.writer || l.Snapshot != snapshot || place != l.chunks {
		return nil
	}
	l.chunks++
	r.grown.snapshot += int64(len(bytes))
	l.bytes = append(l.bytes, bytes[1:]...)
	if more := bytes[0] != 0; more && len(l.bytes) < maxGroup {
		return nil
	}
	records, err := store.DecodeRecords(l.bytes)
	if err != nil {
		return fmt.Errorf("snapshot %d: %w", snapshot, err)
	}
	l.records, l.bytes = append(l.records, records...), nil
	return nil
}

// ended takes the end of a snapshot.
func (r *reader) ended(m *message) error {
	l := r.loading
	if l == nil || l.seq != m.seq {
		var e end
		if err := json.Unmarshal(m.body, &e); err != nil {
			return fmt.Errorf("%w: end of a snapshot: %w", store.ErrCorrupt, err)
		}
		if e.Replace {
			return errGap // what was read before does not hold any more
		}
		r.grown = growth{snapshot: r.grown.snapshot}
		return nil
	}
	if l.chunks != l.Chunks || len(l.records) != l.Records {
		return fmt.Errorf("%w: a snapshot has %d of %d chunks, %d of %d records", store.ErrCorrupt, l.chunks, l.Chunks,
			len(l.records), l.Records)
	}
	r.content, r.number, r.loading = store.NewContent(l.records...), l.Number, nil
	for _, d := range l.groups {
		if err := r.take(d); err != nil {
			return err
		}
	}
	return nil
}

// whole returns errGap if the stream ends before what was read: its servers have lost something.
func (r *reader) whole(ctx context.Context) error {
	var info streamInfo
	if err := r.link.api(ctx, "INFO", nil, &info); err != nil {
		return err
	}
	if last := info.State.Last; last < r.last {
		return fmt.Errorf("%w: %d is the last one, it was %d", errGap, last, r.last)
	}
	return nil
}

// load reads the whole stream.
func (r *reader) load(ctx context.Context) error {
	const tries = 5 // a snapshot that is written meanwhile takes away what is read
	var err error
	for range tries {
		if err = r.start(ctx); err != nil {
			return err
		}
		if _, err = r.read(ctx); !errors.Is(err, errGap) {
			return err
		}
	}
	return err
}
