package core

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/session"
)

// The position that a payload gives is in later messages. The store may lag with it, and
// has the last one after a clean stop.
func TestLocated(t *testing.T) {
	s := newStand(t)
	s.online(gwA)
	d := s.devices["dev1"]
	fCnt := uint32(0)
	locate := func(latitude float64) {
		t.Helper()
		s.step(Located{Device: d.ID, Service: "frm-payload", Location: session.Location{
			Latitude: latitude, Longitude: 2, Source: "SOURCE_GPS",
		}})
		s.hear(gwA, s.phy("dev1", fCnt, payload("hello")))
		fCnt++
		want := fmt.Sprintf(`"locations":{"frm-payload":{"latitude":%v,"longitude":2,"source":"SOURCE_GPS"}}`, latitude)
		if last := string(s.ups[len(s.ups)-1].Payload); !strings.Contains(last, want) {
			t.Errorf("%s is not in %s", want, last)
		}
	}
	has := func(latitude float64) {
		t.Helper()
		if got := s.restarted(s.disk.soft, "dev1").Locations["frm-payload"].Latitude; got != latitude {
			t.Errorf("the store has latitude %v, not %v", got, latitude)
		}
	}
	locate(50)
	has(50)
	if _, early := s.restarted(s.disk.firm, "dev1").Locations["frm-payload"]; early {
		t.Error("stored at once")
	}
	s.wait(time.Hour)
	locate(51)
	has(50)
	s.wait(5 * time.Hour)
	locate(52)
	has(52)
	locate(53)
	s.step(Located{Device: session.ID{Application: "app1", Device: "gone"}, Service: "frm-payload"})
	s.step(Stopping{})
	has(53)
}

// The payload of a device whose application decrypts it stays as it came.
func TestSkipCrypto(t *testing.T) {
	s := newStand(t)
	s.online(gwA)
	d := s.devices["dev1"]
	d.SkipCrypto = true
	phy := s.phy("dev1", 0, payload("hello"))
	s.hear(gwA, phy)
	const mic = 4
	want := base64.StdEncoding.EncodeToString(phy[len(phy)-mic-len("hello") : len(phy)-mic])
	if last := string(s.ups[len(s.ups)-1].Payload); !strings.Contains(last, `"frm_payload":"`+want+`"`) {
		t.Errorf("%s is not in %s", want, last)
	}
}
