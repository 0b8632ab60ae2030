//go:build !small

package main

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lorawand/bridge/store"
	"lorawand/bridge/upstream/backfill"
	"lorawand/bridge/upstream/journal"
	"lorawand/bridge/upstream/record"
	"lorawand/bridge/v3"
)

// datagrams is a way to a UDP address that a test can cut.
type datagrams struct {
	testing.TB
	to string
	l  *net.UDPConn

	mu   sync.Mutex
	off  bool
	ways map[string]*net.UDPConn // by the address of the sender
}

func newDatagrams(t testing.TB, to string) *datagrams {
	t.Helper()
	l, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	d := &datagrams{TB: t, to: to, l: l, ways: map[string]*net.UDPConn{}}
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := l.ReadFromUDP(buf)
			if err != nil {
				return
			}
			if c := d.way(from, &wg); c != nil {
				_, _ = c.Write(buf[:n])
			}
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		d.mu.Lock()
		for _, c := range d.ways {
			_ = c.Close()
		}
		d.mu.Unlock()
		wg.Wait()
	})
	return d
}

// way returns the socket that stands for a sender, which it opens if there is none; nil: the way is cut.
func (d *datagrams) way(from *net.UDPAddr, wg *sync.WaitGroup) *net.UDPConn {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off {
		return nil
	}
	if c := d.ways[from.String()]; c != nil {
		return c
	}
	to, err := net.ResolveUDPAddr("udp", d.to)
	if err != nil {
		return nil
	}
	c, err := net.DialUDP("udp", nil, to)
	if err != nil {
		return nil
	}
	d.ways[from.String()] = c
	wg.Go(func() {
		buf := make([]byte, 4096)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			d.mu.Lock()
			off := d.off
			d.mu.Unlock()
			if !off {
				_, _ = d.l.WriteToUDP(buf[:n], from)
			}
		}
	})
	return c
}

func (d *datagrams) cut(off bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.off = off
}

// backfilled are two lorawands: the second has the devices of the first, hears them by a [[forward]], and
// stands for a The Things Stack.
type backfilled struct {
	*testing.T
	near, far *site
	n, f      *running
	api       *hop
	udp       *datagrams
	ups       <-chan message
	gateway   *forwarder
	fCnt      uint32
}

func newBackfilled(t *testing.T) *backfilled {
	t.Helper()
	b := &backfilled{T: t, far: newSite(t, "")}
	dir := b.far.withTLS("")
	api := freeTCP(t)
	b.far.replace("listen = \"\"\n", "listen = \"\"\napi_listen = \""+api+"\"\n")
	b.far.must(deviceJSON("dev1", testAddr.String()), "device", "import", "-", "--application", "app1")
	key := strings.TrimSpace(b.far.must("", "api-key", "create", "--application", "app1", "--rights",
		"traffic-read,devices-read,traffic-up-write"))
	b.f = b.far.start()
	b.ups = b.f.watch("app1", key, "v3/app1/devices/+/up")

	b.api, b.udp = newHop(t, api), newDatagrams(t, b.f.d.udp.Addr().String())
	b.near = newSite(t, "")
	b.near.must(deviceJSON("dev1", testAddr.String()), "device", "import", "-", "--application", "app1")
	b.near.must(deviceJSON("dev2", "01ABCDEE"), "device", "import", "-", "--application", "app1")
	b.near.write("key", key+"\n")
	b.near.add(fmt.Sprintf("[[forward]]\nserver = %q\nframes = \"all\"\n[[backfill]]\nurl = \"https://127.0.0.1:%s\"\n"+
		"api_key_file = %q\nca_file = %q\napplications = [\"app1\"]\nname = \"far\"\n", b.udp.l.LocalAddr(), b.api.port(),
		filepath.Join(b.near.dir, "key"), filepath.Join(dir, fileCA)))
	b.n = b.near.start()
	b.gateway = b.n.forwarder(testEUI)
	return b
}

func (b *backfilled) status() backfill.Status { return b.n.d.backfills.list[0].Status() }

func (b *backfilled) eventually(what string, ok func() bool) {
	b.Helper()
	for end := time.Now().Add(90 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			b.Fatalf("not within 90 s: %s: %+v\n%s", what, b.status(), b.n.logged())
		}
	}
}

// send has the device send a frame.
func (b *backfilled) send() {
	b.fCnt++
	b.gateway.send(b.fCnt, "hello")
}

// next returns the counter of the next message of the far side, and whether it was posted.
func (b *backfilled) next() (fCnt int, posted bool) {
	b.Helper()
	text := string(next(b, b.ups).payload)
	_, rest, _ := strings.Cut(text, `"f_cnt":`)
	_, _ = fmt.Sscanf(rest, "%d", &fCnt)
	return fCnt, strings.HasSuffix(text, `"simulated":true}`)
}

// Messages of an outage get to another lorawand, over TLS, once, in order and after it; those of other times
// are left to its own radio way.
func TestBackfillBetween(t *testing.T) {
	t.Parallel() // an outage begins with 25 s of silence
	b := newBackfilled(t)
	b.eventually("the far side answers", func() bool { return b.n.d.servers()[0].Answered == 1 })
	for range 3 {
		b.send()
		if n, posted := b.next(); n != int(b.fCnt) || posted {
			t.Errorf("%d, posted %v", n, posted)
		}
	}
	b.eventually("PUSH_ACK", func() bool { return b.n.d.forwarding.States()[0].Acknowledged == 3 })
	b.api.cut(true)
	b.udp.cut(true)
	for range 5 {
		b.send()
	}
	b.eventually("the outage is known", func() bool { return b.status().Missed == 5 })
	b.eventually("the journal has it", func() bool { return b.status().Journal.Messages == 5 })
	b.eventually("people are told", func() bool {
		return strings.Contains(b.near.must("", "status"), "far CANNOT BE BACKFILLED: ")
	})
	b.api.cut(false)
	b.udp.cut(false)
	b.eventually("all are posted", func() bool { return b.status().Posted == 5 })
	for n := 4; n <= 8; n++ {
		if got, posted := b.next(); got != n || !posted {
			t.Errorf("%d, posted %v; want %d", got, posted, n)
		}
	}
	b.eventually("nothing is left", func() bool {
		s := b.status()
		return s.Posted == 5 && s.Journal.Messages == 0 && s.Waiting == 0 && s.Error == ""
	})
	b.eventually("the far side answers again", func() bool { return b.n.d.servers()[0].Answered == 1 })
	b.send()
	if n, posted := b.next(); n != 9 || posted {
		t.Errorf("%d, posted %v", n, posted)
	}
	none(b, b.ups, "what was posted before")
	b.n.checkBeyond(b.near, nil, 0, nil)
	contains(t, "status", b.near.must("", "status"),
		"upstream:  far backfill after outages; 5 messages handed on, 0 wait\n")
}

// The messages of an outage are for the server that has missed them. One with another host gets none of them, though
// it has the same name; they wait for the other, and the owner is told.
func TestBackfillOtherServer(t *testing.T) {
	s := newSite(t, "")
	s.write("key", "NNSXS.KEY\n")
	missed := filepath.Join(s.dir, "store", backfillFolder, "far@127.0.0.1")
	folder, err := store.Folder(missed)
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(folder, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := v3.Message{Application: "app1", Device: "dev1", Suffix: v3.Up, Payload: []byte("{}")}
	if _, err := j.Append([][]byte{record.Append(nil, &m)}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	const first = "https://127.0.0.1:1"
	s.add(fmt.Sprintf("[[forward]]\nserver = \"127.0.0.1:9\"\nframes = \"all\"\n[[backfill]]\nurl = %q\n"+
		"api_key_file = %q\napplications = [\"app1\"]\nforward = \"127.0.0.1:9\"\nname = \"far\"\n", first,
		filepath.Join(s.dir, "key")))
	before := first
	for _, tt := range []struct {
		url   string
		waits int64
	}{{first, 1}, {"https://localhost:1", 0}, {"http://127.0.0.1:2", 1}} {
		s.replace(before, tt.url)
		before = tt.url
		r := s.start()
		if st := r.d.backfills.list[0].Status(); st.Journal.Messages != tt.waits {
			t.Errorf("%s: %+v", tt.url, st)
		}
		if told := strings.Contains(r.logged(), "is not configured any more"); told != (tt.waits == 0) {
			t.Errorf("%s: %s", tt.url, r.logged())
		}
		const title = "Messages wait for far on 127.0.0.1, which is not configured any more"
		if told := strings.Contains(s.must("", "status"), "LOOK  "+title+"\n"); told != (tt.waits == 0) {
			t.Errorf("%s: %s", tt.url, s.must("", "status"))
		}
		r.stop()
	}
}
