//go:build !small

package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/upstream"
)

// Two lorawands that hand on to each other: each takes what the other publishes, and
// nothing goes round.
func TestUpstreamLoop(t *testing.T) {
	sites := [2]*site{newSite(t, ""), newSite(t, "")}
	addrs := [2]string{freeTCP(t), freeTCP(t)}
	var keys [2]string
	for i, s := range sites {
		s.must(deviceJSON("dev1", testAddr.String()), "device", "import", "-", "--application", "app1")
		keys[i] = strings.TrimSpace(s.must("", "api-key", "create", "--application", "app1"))
		text, err := os.ReadFile(s.conf)
		if err != nil {
			t.Fatal(err)
		}
		listen := fmt.Sprintf("listen = [%q]", addrs[i])
		s.write("lorawand.toml", strings.Replace(string(text), `listen = ["127.0.0.1:0"]`, listen, 1))
	}
	var daemons [2]*running
	for i, s := range sites {
		s.add(fmt.Sprintf("[[upstream]]\nurl = \"mqtt://%s\"\napplications = [\"app1\"]\nremote_username = \"app1\"\n"+
			"remote_password = %q\nremote_clientid = \"site\"\n", addrs[1-i], keys[1-i]))
		daemons[i] = s.start()
	}
	for i, d := range daemons {
		d.waitUpstream(fmt.Sprint("connected ", i), func(s upstream.Status) bool { return s.Connected && s.Version == 5 })
	}
	// Each passes its own uplinks on, and those of the other are not its own.
	for i, d := range daemons {
		f := d.forwarder(testEUI)
		for n := range 5 {
			f.send(uint32(n), "x")
		}
		d.waitUpstream(fmt.Sprint("uplinks of ", i), func(s upstream.Status) bool { return s.Live == 5 })
	}
	time.Sleep(300 * time.Millisecond) // what goes round would come again and again
	for i, d := range daemons {
		if s := d.upstreamStatus(); s.Live != 5 || s.Backfilled+s.Downlinks+s.Refused != 0 || s.Waiting != 0 ||
			len(s.Unheard) != 0 {
			t.Errorf("site %d: %+v", i, s)
		}
		d.checkBeyond(sites[i], nil, 0, nil)
	}
}
