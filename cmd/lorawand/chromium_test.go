//go:build !small

package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// chromium is a browser without a window. It is spoken to in the DevTools protocol over
// two pipes: JSON that a zero byte ends.
type chromium struct {
	testing.TB
	out io.Writer

	mu      sync.Mutex
	next    int
	answers map[int]chan devtools
	session string // of the one page
	faults  []string
	hosts   []string // that were asked for something
	asked   int      // how often
}

// devtools is a message of the protocol: a call, its answer, or an event.
type devtools struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error,omitempty"`
}

// lanName is the gateway's own address by a name that browsers do not trust without TLS.
const lanName = "gateway.lan"

// newChromium starts a browser with one empty page.
func newChromium(t *testing.T) *chromium {
	t.Helper()
	path := tool(t, "chromium")
	home := t.TempDir()
	cmd := exec.Command(path, "--headless", "--no-sandbox", "--remote-debugging-pipe", "--disable-gpu",
		"--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--no-first-run",
		"--disable-extensions", "--hide-scrollbars", "--host-resolver-rules=MAP "+lanName+" 127.0.0.1",
		"--user-data-dir="+filepath.Join(home, "profile"), "about:blank")
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	theirs, ours, err := os.Pipe()
	back, said, err2 := os.Pipe()
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	cmd.ExtraFiles = []*os.File{theirs, said} // 3 and 4
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = theirs.Close(), said.Close()
	c := &chromium{TB: t, out: ours, answers: map[int]chan devtools{}}
	var wg sync.WaitGroup
	wg.Go(func() { c.read(back) })
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // its children too
		_ = cmd.Wait()
		_, _ = ours.Close(), back.Close()
		wg.Wait()
	})
	c.attach()
	return c
}

// attach takes hold of a new page.
func (c *chromium) attach() {
	c.Helper()
	var target struct {
		ID string `json:"targetId"`
	}
	c.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct {
		Session string `json:"sessionId"`
	}
	c.call("Target.attachToTarget", map[string]any{"targetId": target.ID, "flatten": true}, &attached)
	c.mu.Lock()
	c.session = attached.Session
	c.mu.Unlock()
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		c.call(domain+".enable", nil, nil)
	}
}

// read takes what the browser says until it ends.
func (c *chromium) read(r io.Reader) {
	in := bufio.NewReader(r)
	for {
		raw, err := in.ReadBytes(0)
		if err != nil {
			return
		}
		var m devtools
		if err := json.Unmarshal(bytes.TrimRight(raw, "\x00"), &m); err != nil {
			c.fault("not JSON: " + err.Error())
			continue
		}
		c.mu.Lock()
		answer := c.answers[m.ID]
		delete(c.answers, m.ID)
		c.mu.Unlock()
		if m.Method == "" && answer != nil {
			answer <- m
		}
		c.event(m.Method, m.Params)
	}
}

// event notes what must not happen, and which hosts are asked.
func (c *chromium) event(method string, params json.RawMessage) {
	var p struct {
		Type    string `json:"type"`
		Message string `json:"message"`
		Args    []struct {
			Value       any    `json:"value"`
			Description string `json:"description"`
		} `json:"args"`
		Entry struct {
			Source, Level, Text string
		} `json:"entry"`
		Details struct {
			Text      string `json:"text"`
			Exception struct {
				Description string `json:"description"`
			} `json:"exception"`
		} `json:"exceptionDetails"`
		Request struct {
			URL string `json:"url"`
		} `json:"request"`
	}
	if method == "" || json.Unmarshal(params, &p) != nil {
		return
	}
	switch method {
	case "Runtime.exceptionThrown":
		c.fault("exception: " + p.Details.Text + " " + p.Details.Exception.Description)
	case "Runtime.consoleAPICalled":
		c.fault(fmt.Sprintf("console.%s: %v", p.Type, p.Args))
	case "Log.entryAdded":
		// What the daemon refuses, and that it cannot be reached, is looked at by the tests.
		if p.Entry.Source != "network" {
			c.fault(fmt.Sprintf("%s: %s", p.Entry.Source, p.Entry.Text))
		}
	case "Page.javascriptDialogOpening":
		c.fault("dialog: " + p.Message)
	case "Network.requestWillBeSent":
		u, err := url.Parse(p.Request.URL)
		c.mu.Lock()
		c.asked++
		if err == nil && u.Host != "" && !slices.Contains(c.hosts, u.Host) {
			c.hosts = append(c.hosts, u.Host)
		}
		c.mu.Unlock()
	}
}

func (c *chromium) fault(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = append(c.faults, text)
}

// seen returns what must not have happened, and the hosts that were asked.
func (c *chromium) seen() (faults, hosts []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.faults), slices.Clone(c.hosts)
}

// call asks the browser for something, and decodes its answer into result unless that is
// nil.
func (c *chromium) call(method string, params, result any) {
	c.Helper()
	if params == nil {
		params = struct{}{}
	}
	raw, err := json.Marshal(params)
	if err != nil {
		c.Fatal(err)
	}
	answer := make(chan devtools, 1)
	c.mu.Lock()
	c.next++
	m := devtools{ID: c.next, Method: method, Params: raw, Session: c.session}
	c.answers[m.ID] = answer
	c.mu.Unlock()
	line, err := json.Marshal(m)
	if err != nil {
		c.Fatal(err)
	}
	if _, err := c.out.Write(append(line, 0)); err != nil {
		c.Fatal(err)
	}
	select {
	case m := <-answer:
		if m.Error != nil {
			c.Fatalf("%s %s: %s", method, raw, m.Error.Message)
		}
		if result == nil {
			return
		}
		if err := json.Unmarshal(m.Result, result); err != nil {
			c.Fatalf("%s: %v", method, err)
		}
	case <-time.After(patience):
		c.Fatalf("%s: no answer within %v", method, patience)
	}
}

// eval runs JavaScript in the page, and decodes its value into result unless that is nil.
func (c *chromium) eval(script string, result any) {
	c.Helper()
	var out struct {
		Result struct {
			Value json.RawMessage `json:"value"`
		} `json:"result"`
		Details *struct {
			Exception struct {
				Description string `json:"description"`
			} `json:"exception"`
		} `json:"exceptionDetails"`
	}
	c.call("Runtime.evaluate", map[string]any{
		"expression": "(async () => {" + script + "})()", "awaitPromise": true, "returnByValue": true,
	}, &out)
	if out.Details != nil {
		c.Fatalf("%s\n%s", script, out.Details.Exception.Description)
	}
	if result == nil {
		return
	}
	if err := json.Unmarshal(out.Result.Value, result); err != nil {
		c.Fatalf("%s\n%s: %v", script, out.Result.Value, err)
	}
}

// wait waits until an expression is true.
func (c *chromium) wait(what, expression string) {
	c.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		var ok bool
		c.eval("return !!("+expression+")", &ok)
		if ok {
			return
		}
		if time.Now().After(end) {
			var text string
			c.eval("return location.hash + '\\n' + document.body.innerText", &text)
			faults, _ := c.seen()
			c.Fatalf("%s: not within %v; the page has\n%s\n%s", what, patience, text, strings.Join(faults, "\n"))
		}
	}
}

// waitText waits until the page shows a text.
func (c *chromium) waitText(text string) {
	c.Helper()
	c.wait("the text "+text, fmt.Sprintf("document.body.innerText.includes(%s)", quoted(text)))
}

// click presses the first button or link that is seen and has a text or a name.
func (c *chromium) click(text string) {
	c.Helper()
	find := fmt.Sprintf(`[...document.querySelectorAll('button, a, summary, label.pick')].find((e) =>
		e.checkVisibility() && !e.disabled && (e.innerText.trim().startsWith(%[1]s) || e.ariaLabel === %[1]s))`, quoted(text))
	c.wait("a button "+text, find)
	c.eval(find+".click()", nil)
}

// fill writes into a field, as typing does.
func (c *chromium) fill(selector, text string) {
	c.Helper()
	c.wait("a field "+selector, fmt.Sprintf("document.querySelector(%s)", quoted(selector)))
	c.eval(fmt.Sprintf(`const e = document.querySelector(%s);
		e.value = %s;
		e.dispatchEvent(new Event('input', {bubbles: true}));
		e.dispatchEvent(new Event('change', {bubbles: true}));`, quoted(selector), quoted(text)), nil)
}

// press has a key pressed, as a keyboard does. text is what it writes.
func (c *chromium) press(key, text string) {
	c.Helper()
	codes := map[string]int{"Tab": 9, "Enter": 13, "Escape": 27}
	params := map[string]any{"type": "rawKeyDown", "key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
	if text != "" {
		params["type"], params["text"] = "keyDown", text
	}
	c.call("Input.dispatchKeyEvent", params, nil)
	c.call("Input.dispatchKeyEvent", map[string]any{
		"type": "keyUp", "key": key, "code": key, "windowsVirtualKeyCode": codes[key],
	}, nil)
}

// size gives the page a width, and a height in pixels.
func (c *chromium) size(width, height int) {
	c.Helper()
	c.call("Emulation.setDeviceMetricsOverride", map[string]any{
		"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false,
	}, nil)
}

// dark says which theme the system of the user has.
func (c *chromium) dark(on bool) {
	c.Helper()
	theme := map[bool]string{false: "light", true: "dark"}[on]
	c.call("Emulation.setEmulatedMedia", map[string]any{
		"features": []map[string]string{{"name": "prefers-color-scheme", "value": theme}},
	}, nil)
}

// picture writes what is seen into a file.
func (c *chromium) picture(path string) {
	c.Helper()
	var out struct {
		Data string `json:"data"`
	}
	c.call("Page.captureScreenshot", map[string]any{"format": "png"}, &out)
	raw, err := base64.StdEncoding.DecodeString(out.Data)
	if err == nil {
		err = os.WriteFile(path, raw, 0o600)
	}
	if err != nil {
		c.Fatal(err)
	}
}

// quoted returns a text as a literal of JavaScript.
func quoted(text string) string {
	b, _ := json.Marshal(text) // never fails
	return string(b)
}
