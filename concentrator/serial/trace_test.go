package serial_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"lorawand/concentrator/serial"
)

// traceDir is a folder of recordings of sx1302_hal.
var traceDir = flag.String("traces", "../sx1302/testdata", "folder of recordings")

// record is a line of a recording.
type record struct {
	K      string          `json:"k"`
	Header string          `json:"hdr"`
	Ack    string          `json:"ack"`
	Req    string          `json:"req"`
	Fn     string          `json:"fn"`
	Args   json.RawMessage `json:"args"`
	Config json.RawMessage `json:"config"`
	Len    int             `json:"len"`
	Pin    byte            `json:"pin"`
	State  byte            `json:"state"`
	A      string          `json:"a"`
	D      string          `json:"d"`
	Modify int             `json:"mcu_rmw"`
	M      byte            `json:"m"`
	Tx     json.RawMessage `json:"tx"`
	Rx     string          `json:"rx"`
	Dir    string          `json:"dir"`
	Addr   string          `json:"addr"`
}

// eachRecording runs a test for each recording of a board behind a bridge.
func eachRecording(t *testing.T, test func(t *testing.T, all []record)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(*traceDir, "*.jsonl*"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, path := range files {
		text := readPlain(t, path)
		if !bytes.Contains(text, []byte(`"usb_spi"`)) {
			continue
		}
		found++
		t.Run(filepath.Base(path), func(t *testing.T) {
			var all []record
			lines := bufio.NewScanner(bytes.NewReader(text))
			lines.Buffer(nil, 1<<20)
			for lines.Scan() {
				var r record
				if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
					t.Fatal(err)
				}
				all = append(all, r)
			}
			test(t, all)
		})
	}
	if found == 0 && *traceDir == "../sx1302/testdata" {
		t.Fatal("no recording of a bridge")
	}
}

func readPlain(t *testing.T, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// wire is a port on whose other side is what a recording has.
type wire struct {
	answer  func(request []byte) []byte // without number
	sent    [][]byte
	waiting []byte
}

func (w *wire) SetReadTimeout(time.Duration) error { return nil }
func (w *wire) Close() error                       { return nil }

func (w *wire) Write(p []byte) (int, error) {
	w.sent = append(w.sent, bytes.Clone(p))
	w.waiting = append(append(w.waiting, p[0]), w.answer(p)...)
	return len(p), nil
}

func (w *wire) Read(p []byte) (int, error) {
	n := copy(p, w.waiting)
	w.waiting = w.waiting[n:]
	return n, nil
}

// frame is an operation of a recording and what its request must be, without number.
type frame struct {
	record record
	did    []record // what the bridge did
}

// framesOf returns the requests of a recording.
func framesOf(all []record) []frame {
	var out []frame
	for _, r := range all {
		switch {
		case strings.HasPrefix(r.K, "usb_"):
			out = append(out, frame{record: r})
		case len(out) > 0 && (r.K == "r" || r.K == "w" || r.K == "radio" || r.K == "fw"):
			out[len(out)-1].did = append(out[len(out)-1].did, r)
		}
	}
	return out
}

func number16(t *testing.T, text string) uint16 {
	t.Helper()
	n, err := strconv.ParseUint(text, 16, 16)
	if err != nil {
		t.Fatal(err)
	}
	return uint16(n)
}

// do makes the transfer of a recording, and compares what comes back.
func (f *frame) do(t *testing.T, b *serial.Bridge) {
	t.Helper()
	switch r := f.record; r.K {
	case "usb_gpio":
		if err := b.SetLine(r.Pin, r.State == 1); err != nil {
			t.Error(err)
		}
	case "usb_status":
		if _, err := b.Temperature(); err != nil {
			t.Error(err)
		}
	case "usb_spi":
		if f.operations() > 1 {
			b.Queue()
			defer func() {
				if err := b.Flush(); err != nil {
					t.Error(err)
				}
			}()
		}
		f.transfers(t, b)
	}
}

// operations returns how many requests to the SPI bus there are in one: of a change of bits
// the recording has the reading and the writing.
func (f *frame) operations() (n int) {
	for _, r := range f.did {
		if r.Modify == 0 || r.K == "w" {
			n++
		}
	}
	return n
}

// transfers makes those of a request to the SPI bus.
func (f *frame) transfers(t *testing.T, b *serial.Bridge) {
	t.Helper()
	rest := unhex(t, f.record.Req)
	for i := 0; i < len(f.did); i++ {
		r := f.did[i]
		var w, want []byte
		switch {
		case r.Modify == 1:
			i++
			if err := b.Modify(number16(t, r.A), rest[4], rest[5]); err != nil {
				t.Error(err)
			}
			rest = rest[6:]
			continue
		case r.K == "radio":
			var tx string
			if err := json.Unmarshal(r.Tx, &tx); err != nil {
				t.Fatal(err)
			}
			w, want = append([]byte{r.M}, unhex(t, tx)...), append([]byte{0}, unhex(t, r.Rx)...)
		case r.K == "fw":
			a := number16(t, r.Addr)
			w = append([]byte{0, byte(a >> 8), byte(a)}, make([]byte, 4096)...)
			if r.Dir == "w" {
				w[1] |= writeBit
			} else {
				w = append(w, 0)
			}
		case r.K == "w":
			a := number16(t, r.A)
			w = append([]byte{0, byte(a>>8) | writeBit, byte(a)}, unhex(t, r.D)...)
		case r.K == "r":
			a := number16(t, r.A)
			d := unhex(t, r.D)
			w = append([]byte{0, byte(a >> 8), byte(a), 0}, make([]byte, len(d))...)
			want = append(make([]byte, 4), d...)
		}
		back := make([]byte, len(w))
		if want == nil {
			back = nil
		}
		if err := b.Tx(w, back); err != nil {
			t.Error(err)
		}
		if want != nil && !bytes.Equal(back, want) {
			t.Errorf("%s: got %x, want %x", f.record.Req, back, want)
		}
		if len(rest) >= 5+len(w) {
			rest = rest[5+len(w):]
		}
	}
}

const writeBit = 0x80

// reply is what the bridge of a recording answers, without number.
func (f *frame) reply(t *testing.T, request []byte) []byte {
	t.Helper()
	payload := unhex(t, f.record.Ack)
	switch f.record.K {
	case "usb_gpio":
		payload = []byte{0}
	case "usb_spi":
		payload = f.spiReply(t, request)
	}
	return append([]byte{byte(len(payload) >> 8), byte(len(payload)), request[3] + 0x40}, payload...)
}

// spiReply is what came back from the SPI bus. Of writes the recording does not have it.
func (f *frame) spiReply(t *testing.T, request []byte) (payload []byte) {
	t.Helper()
	index := byte(0)
	for i := 0; i < len(f.did); i++ {
		r := f.did[i]
		if r.Modify == 1 {
			i++
			payload = append(payload, index, 2, 0, unhex(t, r.D)[0], unhex(t, f.did[i].D)[0])
			index++
			continue
		}
		var back []byte
		switch {
		case r.K == "radio":
			back = append([]byte{0}, unhex(t, r.Rx)...)
		case r.K == "r":
			back = append(make([]byte, 4), unhex(t, r.D)...)
		case r.K == "fw":
			back = make([]byte, len(request)-4-5)
		default:
			back = make([]byte, 3+len(unhex(t, r.D)))
		}
		payload = append(append(payload, index, 1, 0, byte(len(back)>>8), byte(len(back))), back...)
		index++
	}
	return payload
}

// compare compares a request with a recorded one, but for its number, which is any, and the
// bytes of programs, which the recording does not have.
func (f *frame) compare(t *testing.T, at int, request []byte) {
	t.Helper()
	want := unhex(t, f.record.Header)[1:]
	switch f.record.K {
	case "usb_gpio":
		want = append(want, 0, f.record.Pin, f.record.State)
	case "usb_spi":
		want = append(want, unhex(t, f.record.Req)...)
	}
	got := request[1:]
	if f.record.K == "usb_spi" && f.record.Req == "" {
		if len(request) != 4+f.record.Len {
			t.Errorf("request %d has %d bytes, want %d", at, len(request), 4+f.record.Len)
		}
		got = got[:len(want)]
	}
	if !bytes.Equal(got, want) {
		t.Errorf("request %d is %x, want %x", at, got, want)
	}
}

// TestRecordedRequests makes all that a recording has the bridge do, and compares each
// request with that of the reference byte for byte.
func TestRecordedRequests(t *testing.T) {
	eachRecording(t, func(t *testing.T, all []record) {
		frames := framesOf(all)
		if len(frames) < 3 || frames[0].record.K != "usb_ping" || frames[1].record.K != "usb_status" {
			t.Fatalf("%d requests, which do not begin with ping and status", len(frames))
		}
		w := &wire{}
		w.answer = func(request []byte) []byte {
			at := len(w.sent) - 1
			if at >= len(frames) {
				t.Fatalf("%x is one request too many", request)
			}
			frames[at].compare(t, at, request)
			return frames[at].reply(t, request)
		}
		b, err := serial.New(w, serial.Options{Name: "recorded"})
		if err != nil {
			t.Fatal(err)
		}
		if id := b.Identity(); id.Version != string(unhex(t, frames[0].record.Ack)[12:]) {
			t.Errorf("%+v", id)
		}
		for i := 2; i < len(frames); i++ {
			frames[i].do(t, b)
			if len(w.sent) != i+1 {
				t.Fatalf("%d requests after %d operations", len(w.sent), i+1)
			}
		}
	})
}
