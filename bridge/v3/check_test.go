package v3

import (
	"testing"
	"time"

	"lorawand/bridge/session"
)

func encryptedItem(key []byte, fCnt uint32, decoded []byte) *session.Item {
	return &session.Item{FPort: 1, FRMPayload: make([]byte, 4), SessionKeyID: key, FCnt: fCnt, Decoded: decoded}
}

func TestCheckItems(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	ready := func() *session.Device {
		return &session.Device{Version: session.V1_0_4, Plan: "EU_863_870", Session: &session.Session{}}
	}
	item := func(size int) *session.Item { return &session.Item{FPort: 1, FRMPayload: make([]byte, size)} }
	at := func(at time.Time) *session.Item {
		it := item(1)
		it.ClassBC = &session.ClassBC{AbsoluteTime: at}
		return it
	}
	without := ready()
	without.Session = nil
	tested, port := ready(), func(n uint8) *session.Item { it := item(1); it.FPort = n; return it }
	tested.Settings.TestPort = true
	encrypting := ready()
	encrypting.SkipCrypto, encrypting.Session.KeyID = true, []byte{1, 2}
	joining := ready()
	joining.SkipCrypto, joining.Session, joining.Pending = true, nil, encrypting.Session
	tests := []struct {
		name string
		d    *session.Device
		it   *session.Item
		now  time.Time
		want string // Error.Name; "": taken
	}{
		{"short", ready(), item(1), now, ""},
		{"the longest", ready(), item(242), now, ""},
		{"too long", ready(), item(243), now, ApplicationDownlinkTooLong(1, 1).Name},
		{"encoded to nothing", ready(), item(0), now, ""},
		{"the test port", ready(), port(224), now, Invalid("", "").Name},
		{"the test port of a device under test", tested, port(224), now, ""},
		{"no device", nil, item(1), now, DeviceNotFound(session.ID{}).Name},
		{"encrypted", encrypting, encryptedItem([]byte{1, 2}, 7, nil), now, ""},
		{"encrypted, for a session that begins", joining, encryptedItem([]byte{1, 2}, 7, nil), now, ""},
		{"encrypted, without a counter", encrypting, encryptedItem([]byte{1, 2}, 0, nil), now, Invalid("", "").Name},
		{"encrypted, without a session", encrypting, encryptedItem(nil, 7, nil), now, Invalid("", "").Name},
		{"encrypted for another session", encrypting, encryptedItem([]byte{1, 3}, 7, nil), now, Invalid("", "").Name},
		{"to be encoded", encrypting, encryptedItem([]byte{1, 2}, 7, []byte("{}")), now, Invalid("", "").Name},
		{"no session", without, item(1), now, NoDeviceSession().Name},
		{"expired", ready(), at(now.Add(-time.Second)), now, DownlinkExpired().Name},
		{"at a time", ready(), at(now.Add(time.Second)), now, NotServed(errClassBC).Name},
		{"at a time, without a calendar", ready(), at(now.Add(-time.Second)), time.Time{}, NotServed(errClassBC).Name},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if err := CheckItems(session.ID{Application: "app1", Device: "dev1"}, tt.d, []*session.Item{tt.it},
				tt.now); err != nil {
				got = err.Name
			}
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestCheckRoom(t *testing.T) {
	const all = session.MaxQueuesBytes
	most := session.Load{Items: session.MaxQueue, Bytes: session.MaxQueueBytes}
	tests := []struct {
		name     string
		device   session.Load
		own, all int // bytes
		want     string
	}{
		{"exactly full", most, all / 2, all / 2, ""},
		{"one item too many", most.Plus(session.Load{Items: 1}), 0, 0, QueueFull().Name},
		{"one byte too many", most.Plus(session.Load{Bytes: 1}), 0, 0, QueueTooLong(0).Name},
		{"alone, more than a half", session.Load{}, all/2 + 1, all/2 + 1, QueuesTooLong(0).Name},
		{"beside one with a half, a quarter", session.Load{}, all / 4, all * 3 / 4, ""},
		{"beside one with a half, one byte more", session.Load{}, all/4 + 1, all*3/4 + 1, QueuesTooLong(0).Name},
		{"nothing is free", session.Load{}, 1, all, QueuesTooLong(0).Name},
		{"more than all", session.Load{}, 1, all + 1000, QueuesTooLong(0).Name},
	}
	for _, tt := range tests {
		got := ""
		if err := CheckRoom(tt.device, tt.own, tt.all); err != nil {
			got = err.Name
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
