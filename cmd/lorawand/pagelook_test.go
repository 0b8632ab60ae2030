//go:build !small

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	streams "lorawand/bridge/admin/web/door"
	"lorawand/bridge/session"
	"lorawand/bridge/state"
)

// paperScript returns what paper lacks of the screen, and what is of no use on it.
const paperScript = `
	const out = [];
	const seen = [...document.querySelectorAll('#app *')].filter((e) => e.checkVisibility());
	for (const e of seen) {
		const style = getComputedStyle(e);
		if (e.matches('.top, .side, .tabs, .filters, button.btn, a.btn')) out.push('is printed: ' + e.outerHTML.slice(0, 80));
		if (e.matches('svg, svg *, thead, thead *, input, select, textarea, .vh, .vh *, .ed-wrap, .ed-wrap *')) continue;
		const down = style.overflowY !== 'visible' && e.scrollHeight > e.clientHeight + 2;
		const right = style.overflowX !== 'visible' && e.scrollWidth > e.clientWidth + 2;
		if (down || right) out.push('is cut: ' + e.outerHTML.slice(0, 120));
	}
	return out;`

// onPaper prints every screen on A4 with a margin of 1 cm: nothing is cut.
func (p *pageTest) onPaper() {
	p.Helper()
	p.size(718, 1000)
	p.call("Emulation.setEmulatedMedia", map[string]any{"media": "print"}, nil)
	for _, hash := range screens {
		p.show(hash)
		p.audit(hash + " on paper")
		var faults []string
		p.eval(paperScript, &faults)
		for _, f := range faults {
			p.Errorf("%s on paper: %s", hash, f)
		}
		p.pictureOf(strings.Trim(notInNames.ReplaceAllString(hash, "-"), "-") + "-paper")
	}
	p.call("Emulation.setEmulatedMedia", map[string]any{"media": ""}, nil)
	p.size(1280, 800)
}

// ofOwner are words of buttons, links and headings that only the password of the page shows: the
// daemon refuses what they do to an API key, or it is done on the gateway itself.
var ofOwner = []string{
	"Save backup", "Restore…", "Revoke", "Change", "Fetch anew", "Add events and log", "Add gateway", "First run",
	"Neighbours",
}

// offered returns which of ofOwner the screens show, and the fields that name any application.
func (p *pageTest) offered() (words map[string]bool, fields []string) {
	p.Helper()
	p.size(1280, 800)
	words = map[string]bool{}
	for _, hash := range screens {
		p.show(hash)
		var all struct{ Words, Fields []string }
		p.eval(`
			const seen = (s) => [...document.querySelectorAll(s)].filter((e) => e.checkVisibility());
			return {
				words: seen('button, a, h1, h2').map((e) => e.innerText.trim()),
				fields: seen('[name=app], [name=key-app]').filter((e) => !e.readOnly || e.value !== 'app1').map((e) => e.name),
			};`, &all)
		for _, f := range all.Fields {
			fields = append(fields, hash+" "+f)
		}
		for _, word := range ofOwner {
			for _, text := range all.Words {
				words[word] = words[word] || strings.HasPrefix(text, word)
			}
		}
	}
	return words, fields
}

// ownerMay: with the password all of it is there.
func (p *pageTest) ownerMay() {
	p.Helper()
	words, fields := p.offered()
	for _, word := range ofOwner {
		if !words[word] {
			p.Errorf("no screen has %q for the owner", word)
		}
	}
	if len(fields) == 0 {
		p.Error("the owner can name no application")
	}
}

// keyMay logs in with an API key of one application: the page shows nothing that the key may not do.
func (p *pageTest) keyMay() {
	p.Helper()
	key := strings.TrimSpace(p.site.must("", "api-key", "create", "--application", "app1", "--rights", "all"))
	p.open("")
	p.logIn(key, "barn-temp-1")
	words, fields := p.offered()
	for _, word := range ofOwner {
		if words[word] {
			p.Errorf("an API key is shown %q", word)
		}
	}
	if len(fields) > 0 {
		p.Errorf("an API key can name another application: %q", fields)
	}
	p.show("#/overview")
	p.wait("no word of problems, which it is not told", "!document.body.innerText.includes('No problems.')")
	p.click("Log out")
	p.wait("the log in", "location.hash === '#/login'")
}

// tooLong has a device with texts that an earlier version took: the page says which one is too long
// when something else is changed, and lets one write it anew.
func (p *pageTest) tooLong() {
	p.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	d, err := p.daemon.d.bridge.Device(ctx, session.ID{Application: "app1", Device: "soil-south"})
	if err != nil {
		p.Fatal(err)
	}
	d.Name, d.Description = strings.Repeat("n", 60), strings.Repeat("d", 2100)
	if err := p.daemon.d.bridge.Provision(ctx, []state.DevicePut{{Device: d, Must: true}}, nil, false); err != nil {
		p.Fatal(err)
	}
	p.open("#/device/app1/soil-south/settings")
	p.fill("input[name=join_eui]", "0000000000000009")
	p.click("Save")
	p.wait("the field that is too long", "document.querySelector('[name=name]').ariaInvalid === 'true'")
	p.waitText("name: too long: 60 characters, at most 50")
	p.fill("input[name=name]", "soil")
	p.click("Save")
	p.waitText("description: too long: 2100 characters, at most 2000")
	p.fill("input[name=description]", "in the south")
	p.click("Save")
	p.waitText("Saved.")
	if d, err = p.daemon.d.bridge.Device(ctx, d.ID); err != nil || d.JoinEUI[7] != 9 || d.Description != "in the south" {
		p.Errorf("JoinEUI %v, description %q, %v", d.JoinEUI, d.Description, err)
	}
}

// token is that of the session of the page.
func (p *pageTest) token() string {
	p.Helper()
	var out struct {
		Cookies []struct{ Name, Value string }
	}
	p.call("Network.getCookies", map[string]any{"urls": []string{"http://" + p.base + "/api/page/"}}, &out)
	for _, c := range out.Cookies {
		if c.Name == "lorawand_session" {
			return c.Value
		}
	}
	p.Fatalf("no session in %+v", out.Cookies)
	return ""
}

// begins logs in as another browser does, and returns the token.
func (p *pageTest) begins() string {
	p.Helper()
	body := []byte(`{"password":` + quoted(pageSecret) + `}`)
	req, err := http.NewRequest(http.MethodPost, "http://"+p.base+"/api/page/login", bytes.NewReader(body))
	if err != nil {
		p.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Lorawand", "1")
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		p.Fatal(err)
	}
	defer r.Body.Close()
	if len(r.Cookies()) == 0 {
		p.Fatalf("login: %s", r.Status)
	}
	return r.Cookies()[0].Value
}

// follows opens streams of a session, as many as it is given of n, and returns how to end them.
func (p *pageTest) follows(token string, n int) (got int, end func()) {
	p.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p.Cleanup(cancel)
	for range n {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.base+"/api/page/events", nil)
		if err != nil {
			p.Fatal(err)
		}
		req.Header.Set("Cookie", "lorawand_session="+token)
		r, err := http.DefaultClient.Do(req)
		if err != nil {
			p.Fatal(err)
		}
		if r.StatusCode == http.StatusOK {
			got++
		}
		p.Cleanup(func() { _, _ = io.Copy(io.Discard, r.Body); _ = r.Body.Close() })
	}
	return got, cancel
}

const follows = "document.querySelector('.conn .ok')"

// crowded has other pages take the place of this one: it says so, and follows again when it can.
func (p *pageTest) crowded() {
	p.Helper()
	p.show("#/live")
	p.wait("the stream", follows)
	_, end1 := p.follows(p.token(), streams.PerSession-1)
	_, end2 := p.follows(p.begins(), streams.PerSession)
	_, end3 := p.follows(p.begins(), 1)
	p.waitText("Too many pages are open")
	p.wait("a word for it", "document.querySelector('.conn').innerText.trim() === 'Not followed'")
	p.pictureOf("crowded-1280")
	p.click("Follow again")
	p.wait("no place yet", "document.body.innerText.includes('Too many pages are open')")
	end1()
	end2()
	end3()
	p.uplink(1, "in the crowd")
	for range 20 {
		p.eval("document.querySelector('.banner .btn')?.click(); await new Promise((done) => setTimeout(done, 500))", nil)
		var free bool
		if p.eval("return !document.querySelector('.banner')", &free); free {
			break
		}
	}
	p.wait("the stream again", follows)
	p.rowOf("in the crowd")
}

// rowOf waits for the one row of a payload among the live events.
func (p *pageTest) rowOf(payload string) {
	p.Helper()
	p.wait("one row of "+payload, fmt.Sprintf(
		"[...document.querySelectorAll('.ev')].filter((e) => e.textContent.includes(%s)).length === 1", quoted(payload)))
}

// hidden has nobody look: the page closes its stream and asks nothing, and has what it missed when
// somebody looks again. Its minute of patience is made short.
func (p *pageTest) hidden() {
	p.Helper()
	p.open("#/live")
	p.wait("the stream", follows)
	token := p.token()
	left := func(want int) {
		p.Helper()
		eventually(p, patience, fmt.Sprintf("%d streams beside that of the page", want), func() bool {
			n, end := p.follows(token, streams.PerSession)
			end()
			time.Sleep(200 * time.Millisecond) // until the daemon has seen their end
			return n == want
		})
	}
	left(streams.PerSession - 1)
	p.eval(`const real = setTimeout;
		window.setTimeout = (f, ms, ...args) => real(f, ms === 60e3 ? 200 : ms, ...args);`, nil)
	const changed = "document.dispatchEvent(new Event('visibilitychange'))"
	frozen := func(state string) { p.call("Page.setWebLifecycleState", map[string]any{"state": state}, nil) }
	for _, tt := range []struct {
		name       string
		hide, show func()
	}{
		{"hidden", func() {
			p.eval("Object.defineProperty(document, 'hidden', {configurable: true, get: () => true});"+changed, nil)
		}, func() { p.eval("delete document.hidden;"+changed, nil) }},
		{"frozen", func() { frozen("frozen") }, func() {
			frozen("active")
			p.call("Target.createTarget", map[string]any{"url": "about:blank"}, nil) // from which one comes back
			p.call("Page.bringToFront", nil, nil)
		}},
	} {
		tt.hide()
		left(streams.PerSession)
		p.mu.Lock()
		asked := p.asked
		p.mu.Unlock()
		p.uplink(1, tt.name)
		time.Sleep(2 * time.Second)
		p.mu.Lock()
		if p.asked != asked {
			p.Errorf("a page that is %s asks %d times", tt.name, p.asked-asked)
		}
		p.mu.Unlock()
		tt.show()
		p.rowOf(tt.name)
		p.wait("the stream again", follows)
	}
	p.open("#/live")
	p.settled()
}

// plainHTTP opens the page by a name of the LAN without TLS, where browsers have no
// navigator.clipboard: the buttons copy all the same.
func (p *pageTest) plainHTTP() {
	p.Helper()
	p.base = lanName + p.base[strings.LastIndex(p.base, ":"):]
	p.open("#/devices")
	p.logIn("another password", "barn-temp-1")
	p.wait("no clipboard", "!isSecureContext && !navigator.clipboard")
	p.show("#/gateways")
	p.eval("document.querySelector('.block .copy').focus()", nil)
	p.press("Enter", "\r")
	p.waitText("Copied.")
	p.wait("focus where it was", "document.activeElement.matches('.block .copy.done')")
	p.show("#/devices")
	p.eval("document.querySelector('#device-filter').focus()", nil)
	p.call("Input.dispatchKeyEvent", map[string]any{"type": "rawKeyDown", "key": "v", "commands": []string{"paste"}}, nil)
	p.wait("what was copied", `document.querySelector('#device-filter').value.startsWith('"server_address": "`+lanName+`"')`)
}
