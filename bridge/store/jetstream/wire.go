package jetstream

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// A message begins with 18 bytes: the format (1), what it is (1), the process that wrote it
// (8, at random), and its number among the messages of that process (8, little-endian). Its
// body follows:
//
//	claim, end   JSON: claim and end of this file
//	beat, resign nothing
//	part         place among the parts of its group (4), bytes
//	group        number of the commit (8), number of its parts (4), bytes
//	chunk        number of the snapshot (8), place in it (4), whether its records go on in the next one (1), bytes
//
// The bytes of the parts and of the group, one behind the other, are the records as
// store.EncodeRecords writes them.
const (
	format     = 1
	maxFormat  = 16 // of later versions: what begins with more is no message of ours
	headerSize = 1 + 1 + 8 + 8

	partSize  = 256 << 10 // bytes of records in a message; a server takes 1 MiB, and answers in base64
	chunkSize = 128 << 10 // bytes of records that are encoded together in a snapshot, and one record more
)

// kind says what a message is. Each has a subject of its own.
type kind byte

const (
	isClaim  kind = iota + 1 // a process leads from here on
	isBeat                   // the leader lives
	isResign                 // the leader has stopped
	isPart                   // a part of a group, which does not count alone
	isGroup                  // a commit
	isChunk                  // records of a snapshot
	isEnd                    // a snapshot is complete
)

// subjects are the last words of the subjects.
var subjects = [...]string{
	isClaim: "claim", isBeat: "beat", isResign: "resign", isPart: "part", isGroup: "group", isChunk: "chunk", isEnd: "end",
}

// writer identifies a process.
type writer [8]byte

// message is a message of the stream.
type message struct {
	kind   kind
	writer writer
	count  uint64 // among those of the writer, from 1
	body   []byte

	seq uint64 // its place in the stream; 0: it has none
	at  string // when the server has stored it, RFC 3339
}

// claim is the body of a claim.
type claim struct {
	Name string `json:"name"`   // of the machine
	TTL  int64  `json:"ttl_ms"` // how long a lease lives
}

// end is the body of the end of a snapshot. The state is that of the chunks, and of the groups
// behind base.
type end struct {
	Snapshot uint64 `json:"snapshot"` // its number
	First    uint64 `json:"first"`    // sequence of its first chunk, or of the end itself
	Chunks   uint32 `json:"chunks"`
	Records  int    `json:"records"`
	Base     uint64 `json:"base"`    // sequence of the last message whose effect is in the chunks
	Number   uint64 `json:"number"`  // of the last commit in the chunks
	Replace  bool   `json:"replace"` // it is not the state of the groups before it: a backup was restored

	// Who has written it, as the claim may be deleted with what is before the snapshot.
	Leader claim     `json:"leader"`
	Epoch  uint64    `json:"epoch"` // sequence of the claim
	Since  time.Time `json:"since"`
}

// errMessage says that something else has published a message. It counts for nothing.
var errMessage = errors.New("not a message of lorawand")

func (m *message) encode() []byte {
	b := make([]byte, 0, headerSize+len(m.body))
	b = append(append(b, format, byte(m.kind)), m.writer[:]...)
	b = binary.LittleEndian.AppendUint64(b, m.count)
	return append(b, m.body...)
}

// decode decodes the bytes of a message. It keeps them.
func (m *message) decode(b []byte) error {
	if len(b) < headerSize {
		return fmt.Errorf("%w: %d bytes", errMessage, len(b))
	}
	if b[0] > format && b[0] < maxFormat {
		return fmt.Errorf("%w: format %d, this version knows %d", ErrFormat, b[0], format)
	}
	m.kind, m.count, m.body = kind(b[1]), binary.LittleEndian.Uint64(b[10:]), b[headerSize:]
	copy(m.writer[:], b[2:])
	if b[0] != format || m.kind < isClaim || m.kind > isEnd || len(m.body) < minBody[m.kind] {
		return fmt.Errorf("%w: format %d, kind %d, %d bytes", errMessage, b[0], b[1], len(b))
	}
	return nil
}

// minBody is how many bytes the body of a message has at least.
var minBody = [...]int{isClaim: 2, isBeat: 0, isResign: 0, isPart: 4, isGroup: 12, isChunk: 13, isEnd: 2}

func groupBody(number uint64, parts int, records []byte) []byte {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, 12+len(records)), number)
	return append(binary.LittleEndian.AppendUint32(b, uint32(parts)), records...)
}

func partBody(place int, records []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(make([]byte, 0, 4+len(records)), uint32(place)), records...)
}

func chunkBody(snapshot uint64, place int, more bool, records []byte) []byte {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, 13+len(records)), snapshot)
	b = append(binary.LittleEndian.AppendUint32(b, uint32(place)), 0)
	if more {
		b[12] = 1
	}
	return append(b, records...)
}

// numbers returns what is in front of the records of a group or a chunk.
func (m *message) numbers() (number uint64, place uint32, records []byte) {
	return binary.LittleEndian.Uint64(m.body), binary.LittleEndian.Uint32(m.body[8:]), m.body[12:]
}

// jsonBody returns the body of a claim or an end. Both can always be encoded.
func jsonBody(v any) []byte {
	b, _ := json.Marshal(v)
	return b
}
