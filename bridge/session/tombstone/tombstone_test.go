package tombstone

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"lorawand/bridge/session"
	"lorawand/radio"
	"lorawand/radio/frame"
)

// buried is a device that was deleted, and what a store keeps of it.
func buried(t *testing.T) (*session.Device, []Entry) {
	t.Helper()
	d := otaa()
	d.SupportsJoin, d.Pending = false, nil
	d.Session.Keys.AppSKey = frame.Key{0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7}
	n := New()
	out := append(n.AddSession(d, d.Session), n.AddNonces(d)...)
	if len(out) != 2 {
		t.Fatalf("%d tombstones", len(out))
	}
	return d, out
}

// The bytes are the same on every CPU, and say after a start what they said
// before.
func TestTombstoneBytes(t *testing.T) {
	d, ts := buried(t)
	const golden = "dev_eui/0100000000000000 0101000200000000000000" + "0500" + "70110100" + "010002000300"
	if got := ts[1].Key + " " + hex.EncodeToString(ts[1].Data); got != golden {
		t.Errorf("nonces are %s, want %s", got, golden)
	}
	const ofSession = "0102010100000000000000" + "01000000" + "0a000000" + "1400000014000000" + "1400000014000000"
	if got := hex.EncodeToString(ts[0].Data); !strings.HasPrefix(got, ofSession) || len(ts[0].Data) != lostSessionSize {
		t.Errorf("a session is %s, want %s…", got, ofSession)
	}
	if strings.Contains(string(ts[0].Data), string(d.Session.Keys.AppSKey[:8])) {
		t.Error("a tombstone tells a key")
	}
	n := New()
	for _, b := range ts {
		if err := n.Load(b.Key, b.Data); err != nil {
			t.Fatal(err)
		}
	}
	n.Settle()
	for name, tt := range map[string]struct {
		change func(s *session.Session)
		v      session.Version
		want   string
	}{
		"the same":          {func(*session.Session) {}, session.V1_0_3, "true 10 20 20 {20 20}"},
		"another address":   {func(s *session.Session) { s.DevAddr[3]++ }, session.V1_0_3, "false 0 0 0 {0 0}"},
		"other keys":        {func(s *session.Session) { s.Keys = frame.SessionKeys{} }, session.V1_0_3, "false 0 0 0 {0 0}"},
		"another app_s_key": {func(s *session.Session) { s.Keys.AppSKey[0]++ }, session.V1_1, "true 10 20 20 {20 20}"},
		"the app_s_key only": {func(s *session.Session) {
			s.Keys = frame.SessionKeys{AppSKey: s.Keys.AppSKey}
		}, session.V1_1, "false 0 20 20 {20 20}"},
		"more was used": {func(s *session.Session) {
			s.NFCntDown, s.AFCntDown = 30, 30
		}, session.V1_1, "true 10 30 30 {30 30}"},
	} {
		s := &session.Session{DevAddr: d.Session.DevAddr, Keys: d.Session.Keys}
		tt.change(s)
		n.Revive(s, tt.v)
		if got := fmt.Sprint(s.Heard, s.FCntUp, s.NFCntDown, s.AFCntDown, s.LastSent()); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
		if s.NStored < s.NFCntDown || s.AStored < s.AFCntDown {
			t.Errorf("%s: no counter could ever be used again", name)
		}
	}
	again := &session.Device{DevEUI: d.DevEUI}
	if !n.ReviveNonces(again) || fmt.Sprint(again.Nonces()) != fmt.Sprint(d.Nonces()) {
		t.Errorf("nonces %+v, want %+v", again.Nonces(), d.Nonces())
	}
}

func TestTombstoneRefused(t *testing.T) {
	_, ts := buried(t)
	for _, whole := range ts {
		for name, b := range map[string][]byte{
			"nothing": nil, "cut off": whole.Data[:len(whole.Data)-1], "too long": append(whole.Data[:len(whole.Data):len(whole.Data)], 0),
			"another version": append([]byte{2}, whole.Data[1:]...), "another sort": append([]byte{1, 9}, whole.Data[2:]...),
		} {
			if err := New().Load(whole.Key, b); !errors.Is(err, ErrEntry) {
				t.Errorf("%s, %s: %v", whole.Key, name, err)
			}
		}
	}
}

// A session that goes and comes without end does not make them grow.
func TestTombstonesWrittenAnew(t *testing.T) {
	n := New()
	d := &session.Device{Session: &session.Session{DevAddr: radio.DevAddr{1}, NFCntDown: 1}}
	for range 10 * Max {
		if out := n.AddSession(d, d.Session); len(out) != 1 || out[0].Data == nil {
			t.Fatalf("%v", out)
		}
	}
	if q := n.ages[ofSession]; len(n.all) != 1 || len(n.byAddr) != 1 || len(q.queue) != 1 || q.count != 1 {
		t.Errorf("%d tombstones, %d aged, count %d", len(n.all), len(q.queue), q.count)
	}
}

// Devices with one DevEUI and other JoinEUIs share a tombstone: JoinNonces go on
// behind those of all of them, in whichever order they are deleted.
func TestTombstoneOfOneDevEUI(t *testing.T) {
	const high, low = session.FirstJoinNonce + 100, session.FirstJoinNonce + 4
	for _, order := range [][]uint32{{high, low}, {low, high}} {
		n := New()
		var last []Entry
		for i, joinNonce := range order {
			d := otaa()
			d.JoinEUI, d.LastJoinNonce = radio.EUI64{byte(i)}, joinNonce
			last = n.AddNonces(d)
		}
		stored := New()
		if err := stored.Load(last[0].Key, last[0].Data); err != nil {
			t.Fatal(err)
		}
		d := otaa()
		d.LastJoinNonce = 0
		if !stored.ReviveNonces(d) || d.LastJoinNonce != high {
			t.Errorf("deleted with %d: goes on behind JoinNonce %d, want %d", order, d.LastJoinNonce, high)
		}
	}
}
