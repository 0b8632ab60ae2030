//go:build !small

package main

import (
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// auditScript returns what is wrong with the screen that is shown.
const auditScript = `
	const out = [];
	const all = (s) => [...document.querySelectorAll(s)];
	const wide = document.documentElement.scrollWidth - innerWidth;
	if (wide > 0) {
		const why = all('#app *').filter((e) => e.getBoundingClientRect().right > innerWidth + 1);
		out.push(wide + ' px too wide: ' + why.slice(0, 3).map((e) => e.tagName + '.' + e.className).join(' '));
	}
	if (all('h1').length !== 1) out.push(all('h1').length + ' h1');
	if (all('#app [style]').length) out.push('style attributes');
	if (all('#app img, #app script, #app iframe, #app b b').length) out.push('markup from outside');
	for (const e of all('.card, .tile, .values li, .problem, .er, td')) {
		const inner = e.scrollWidth - e.clientWidth;
		if (!e.checkVisibility() || !e.clientWidth || inner <= 2) continue;
		out.push(inner + ' px too wide inside: ' + e.outerHTML.slice(0, 100));
	}
	const ids = all('[id]').map((e) => e.id);
	const twice = ids.filter((x, i) => ids.indexOf(x) !== i);
	if (twice.length) out.push('ids twice: ' + twice);
	const named = (e) => e.textContent.trim() || e.ariaLabel || e.title || e.labels?.length;
	for (const e of all('button, a[href], input, select, textarea, summary')) {
		if (e.checkVisibility() && !named(e)) out.push('no name: ' + e.outerHTML.slice(0, 100));
	}
	const small = (e) => innerWidth < 500 && e.matches('.btn, .chip, .tabs a') && e.getBoundingClientRect().height < 28;
	for (const e of all('button, a[href]')) {
		if (e.checkVisibility() && small(e)) out.push('small: ' + e.outerHTML.slice(0, 100));
	}
	return out;`

// screens are the addresses of all screens.
var screens = []string{
	"#/overview", "#/live", "#/devices", "#/device/app1/barn-temp-1", "#/device/app1/barn-temp-1/downlinks",
	"#/device/app1/barn-temp-1/radio", "#/device/app1/barn-temp-1/settings", "#/device/app1/soil-north",
	"#/device/%3Cimg%20src=x%3E/x", "#/device/%E0%A4%A/x", `#/add?dev_eui="><svg onload=alert(1)>`, "#/add", "#/import",
	"#/formatters", "#/formatters/app1/barn-temp-1", "#/formatters/app1/", "#/gateways", "#/add-gateway?eui=00<b>",
	"#/integrations", "#/system", "#/start", "#/more", "#/nothing",
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// auditAll looks at every screen in every width, and in the dark. On a monitor of 1280 pixels a
// zoom of 200 % leaves 640, and one of 400 % leaves 320.
func (p *pageTest) auditAll() {
	p.Helper()
	for _, width := range []int{1280, 640, 390, 320} {
		p.size(width, 800)
		for _, dark := range []bool{false, true} {
			if dark && width != 390 {
				continue
			}
			p.dark(dark)
			for _, hash := range screens {
				p.show(hash)
				p.audit(fmt.Sprintf("%s at %d px", hash, width))
				name := strings.Trim(notInNames.ReplaceAllString(hash, "-"), "-")
				if width != 320 {
					p.pictureOf(fmt.Sprintf("%s-%d%s", name, width, map[bool]string{true: "-dark"}[dark]))
				}
			}
		}
		p.dark(false)
	}
}

func (p *pageTest) audit(where string) {
	p.Helper()
	var faults []string
	p.eval(auditScript, &faults)
	for _, f := range faults {
		p.Errorf("%s: %s", where, f)
	}
}

// gate is a way to a daemon that can be shut.
type gate struct {
	l      net.Listener
	target string

	mu    sync.Mutex
	isOff bool
	conns map[net.Conn]bool
	wg    sync.WaitGroup
}

func newGate(t *testing.T, target string) *gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{l: l, target: target, conns: map[net.Conn]bool{}}
	g.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			g.wg.Go(func() { g.relay(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		g.shut()
		g.wg.Wait()
	})
	return g
}

func (g *gate) address() string { return g.l.Addr().String() }

// keep notes a connection; it is closed at once while the gate is shut.
func (g *gate) keep(c net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.isOff {
		_ = c.Close()
		return false
	}
	g.conns[c] = true
	return true
}

func (g *gate) relay(c net.Conn) {
	defer c.Close()
	d, err := net.Dial("tcp", g.target)
	if err != nil {
		return
	}
	defer d.Close()
	if !g.keep(c) || !g.keep(d) {
		return
	}
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{c, d}, {d, c}} {
		both.Go(func() {
			_, _ = io.Copy(way[1], way[0])
			_, _ = way[0].Close(), way[1].Close()
		})
	}
	both.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, c)
	delete(g.conns, d)
}

// shut closes all connections, and those that come.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.isOff = true
	for c := range g.conns {
		_ = c.Close()
	}
}

func (g *gate) reopen() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.isOff = false
}
