package backfill

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"lorawand/radio"
	"lorawand/radio/gwmp"
)

// tts is a The Things Stack, in memory: the end of a [[forward]], and the HTTP API. It answers as 3.32.1
// was measured to.
type tts struct {
	mu    sync.Mutex
	off   bool // no network: nothing arrives, and nobody can connect
	conns []net.Conn
	heard map[int]int // frames by their counter, over Semtech UDP
	mute  bool        // datagrams arrive, and have no answer
	twice bool        // their answers come twice

	key     string
	devices map[string]string // the DevEUI of each device, by application/device; "": it has none
	got     []posted
	gets    int
	dials   int
	closes  bool                        // the connection, behind each answer
	trouble func(*http.Request) trouble // what happens to a request; nil: nothing
}

// posted is a message that it has published.
type posted struct {
	topic      string
	fCnt       int
	ids        []string
	receivedAt string
	at         time.Time
}

// trouble is what the network or the server does to a request.
type trouble struct {
	half    bool // the connection ends when half of the body has come
	lost    bool // the message is taken, and the connection ends before the answer
	hang    bool // the message is taken, and no answer comes: half-open
	twice   bool // the answer comes twice
	slow    time.Duration
	status  int // instead of what it would answer
	header  string
	content string
}

// Bodies as they were measured.
const (
	emptyBody  = `{}`
	noSuchPath = `{"code":5, "message":"Not Found"}`
	notFound   = `{"code":5, "message":"error:pkg/redis:not_found (entity not found)", "details":[{"@type":` +
		`"type.googleapis.com/ttn.lorawan.v3.ErrorDetails", "namespace":"pkg/redis", "name":"not_found", "message_format":` +
		`"entity not found", "correlation_id":"45bc4c2e9e9642cea5bce3e78c18f9bb", "code":5}]}`
	wrongKey = `{"code":16, "message":"error:pkg/identityserver:invalid_authorization (invalid authorization)", ` +
		`"details":[]}`
	noRights = `{"code":7, "message":"error:pkg/auth/rights:insufficient_application_rights (insufficient rights for ` +
		"application `app1`)\", \"details\":[]}"
	notValid = "{\"code\":3, \"message\":\"error:pkg/errors:validation (invalid `uplink_message`: embedded message failed " +
		"validation)\", \"details\":[]}"
)

func newTTS() *tts {
	return &tts{heard: map[int]int{}, key: "NNSXS.KEY", devices: map[string]string{"app1/dev1": "70B3D57ED0000001"}}
}

func (f *tts) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

var errNoRoute = errors.New("no route to host")

// cut ends all connections; with off there are no new ones.
func (f *tts) cut(off bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.off = off
	for _, c := range f.conns {
		_ = c.Close()
	}
	f.conns = nil
}

func (f *tts) dial(context.Context) (net.Conn, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dials++
	if f.off {
		return nil, errNoRoute
	}
	near, far := net.Pipe()
	f.conns = append(f.conns, far)
	go f.serve(far)
	return near, nil
}

func (f *tts) serve(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		var t trouble
		f.mu.Lock()
		if f.trouble != nil {
			t = f.trouble(req)
		}
		f.mu.Unlock()
		if f.closes {
			t.header += "Connection: close\r\n"
		}
		if t.half {
			_, _ = io.CopyN(io.Discard, req.Body, req.ContentLength/2)
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		time.Sleep(t.slow)
		status, answer := t.status, t.content
		if status == 0 {
			status, answer = f.handle(req, body)
		}
		switch {
		case t.hang:
			_, _ = io.Copy(io.Discard, in)
			return
		case t.lost:
			return
		}
		text := fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n%s", status,
			http.StatusText(status), len(answer), t.header, answer)
		if t.twice {
			text += text
		}
		_, _ = io.WriteString(c, text)
		if f.closes {
			return
		}
	}
}

// handle answers a request.
func (f *tts) handle(req *http.Request, body []byte) (status int, answer string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	rest, ok := strings.CutPrefix(req.URL.Path, "/api/v3/as/applications/")
	words := strings.Split(rest, "/")
	if !ok || len(words) < 3 || words[1] != "devices" {
		return 404, noSuchPath
	}
	id := words[0] + "/" + words[2]
	eui, there := f.devices[id]
	switch tail := strings.Join(words[3:], "/"); {
	case req.Header.Get("Authorization") != "Bearer "+f.key:
		return 401, wrongKey
	case req.Method == http.MethodGet && tail == "":
		f.gets++
		if !there {
			return 404, notFound
		}
		return 200, fmt.Sprintf(`{"ids":{"device_id":%q,"application_ids":{"application_id":%q},"dev_eui":%q},"created_at":`+
			`"2026-11-28T16:37:18.030688986Z"}`, words[2], words[0], eui)
	case req.Method == http.MethodPost && tail == "up/simulate":
		return f.simulate(id, there, body)
	}
	return 404, noSuchPath
}

// simulate publishes a message; of a device that is not there without a word.
func (f *tts) simulate(id string, there bool, body []byte) (status int, answer string) {
	var m struct {
		IDs        []string `json:"correlation_ids"`
		ReceivedAt string   `json:"received_at"`
		Up         *struct {
			FCnt     int               `json:"f_cnt"`
			Settings *json.RawMessage  `json:"settings"`
			Meta     []json.RawMessage `json:"rx_metadata"`
		} `json:"uplink_message"`
		Solved *json.RawMessage `json:"location_solved"`
	}
	if err := json.Unmarshal(body, &m); err != nil || m.Up == nil && m.Solved == nil {
		return 400, notValid
	}
	p := posted{topic: id + " location/solved", ids: m.IDs, receivedAt: m.ReceivedAt, at: time.Now()}
	if m.Up != nil {
		if m.Up.Settings == nil || m.Up.Meta == nil {
			return 400, notValid
		}
		p.topic, p.fCnt = id+" up", m.Up.FCnt
	}
	if there {
		f.got = append(f.got, p)
	}
	return 200, emptyBody
}

// posts returns what it has published.
func (f *tts) posts() []posted {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.got)
}

// socket opens the way of a gateway by the Semtech UDP protocol.
func (f *tts) socket(context.Context, radio.EUI64) (net.Conn, error) {
	near, far := net.Pipe()
	go func() {
		buf := make([]byte, gwmp.MaxSize)
		for {
			n, err := far.Read(buf)
			if err != nil {
				return
			}
			if p, err := gwmp.ParsePacket(slices.Clone(buf[:n])); err == nil {
				f.datagram(far, p)
			}
		}
	}()
	return near, nil
}

// datagram takes a datagram, if there is a network.
func (f *tts) datagram(c net.Conn, p gwmp.Packet) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.off {
		return
	}
	if p.Type == gwmp.PushData {
		push, _ := gwmp.ParsePush(p.Body)
		for _, up := range push.Uplinks {
			f.heard[int(up.PHYPayload[6])|int(up.PHYPayload[7])<<8]++
		}
	}
	answer := map[gwmp.Type]gwmp.Type{gwmp.PushData: gwmp.PushAck, gwmp.PullData: gwmp.PullAck}[p.Type]
	if answer != 0 && !f.mute {
		for range map[bool]int{false: 1, true: 2}[f.twice] {
			// A pipe has no buffer: both ends may be about to write.
			go c.Write(gwmp.Packet{Version: p.Version, Token: p.Token, Type: answer}.Append(nil))
		}
	}
}
