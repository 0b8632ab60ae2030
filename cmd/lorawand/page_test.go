//go:build !small

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lorawand/concentrator/air"
	"lorawand/concentrator/sx1302/sx1302test"
	"lorawand/radio"
	"lorawand/radio/frame"
	"lorawand/radio/region"
)

const pageSecret = "a password of the page"

// picturesEnv names a folder for pictures of all screens.
const picturesEnv = "LORAWAND_PICTURES"

// answerTime is how long after a frame a device may hear an answer: a join-accept in RX2,
// after 6 s, and slack.
const answerTime = 8 * time.Second

// Texts from outside that would do something if the page took them for markup.
const (
	hostileName = `<img src=x onerror=alert(1)> & "Tom's" ` + "\u202Egnp.exe"
	hostileText = `<script>alert(2)</script>`
)

// pageTest is the page in a browser, in front of a daemon with a device on the air.
type pageTest struct {
	*chromium
	site   *site
	daemon *running
	gate   *gate
	base   string // host and port of the page
	device *air.Device
	heard  chan air.Heard // what the device has heard
}

var pageRoot = frame.Key{0x2B, 0x7E, 0x15, 0x16, 0x28, 0xAE, 0xD2, 0xA6, 0xAB, 0xF7, 0x15, 0x88, 0x09, 0xCF, 0x4F, 0x3C}

// newPageTest starts all of it. Nothing is registered.
func newPageTest(t *testing.T) *pageTest {
	t.Helper()
	p := &pageTest{chromium: newChromium(t), site: newChipSite(t, ""), heard: make(chan air.Heard, 100)}
	conf, err := os.ReadFile(p.site.conf)
	if err != nil {
		t.Fatal(err)
	}
	p.site.write("lorawand.toml", strings.Replace(string(conf), "[http]\n", "[http]\napi_listen = \"127.0.0.1:0\"\n", 1))
	plan, err := region.Lookup("EU_863_870_TTN")
	if err != nil {
		t.Fatal(err)
	}
	w := air.New(7)
	p.device, err = w.Device(air.DeviceOptions{
		Name: "barn-temp-1", Plan: plan, DataRate: 5, DevEUI: radio.EUI64{0x70, 0xB3, 0xD5, 0x7E, 0xD0, 0, 0, 1},
		JoinEUI: radio.EUI64{7: 7}, RootKeys: frame.RootKeys{AppKey: pageRoot}, RSSI: -9740, SNR: 325,
		Heard: func(h air.Heard) { p.heard <- h },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = w.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	sim := &simulation{air: w, chip: sx1302test.Options{EUI: chipEUI, Tick: 1<<32 - 64_000_000}}
	p.daemon = p.site.startOn(sim.open, nil)
	p.site.must(pageSecret+"\n", "web", "password")
	p.gate = newGate(t, p.daemon.d.api.Addr().String())
	p.base = p.gate.address()
	return p
}

// The page from the first run to the first downlink, in a real browser: with texts that
// are hostile, in all widths, with a connection that is cut and a session that ends.
func TestPage(t *testing.T) {
	p := newPageTest(t)
	p.size(1280, 800)
	p.open("")
	p.logIn("not the password", "That is not the password")
	p.logIn(pageSecret, "Where does the gateway stand?")
	key := p.firstRun()
	p.addDevice()
	p.decode()
	p.downlink()
	client := p.hostile(key)
	p.importDevices()
	p.auditAll()
	p.onPaper()
	p.ownerMay()
	p.keyboard()
	p.tooLong()
	p.cut()
	p.crowded()
	p.hidden()
	p.revoke(client)
	p.sessionEnds()
	p.keyMay()
	faults, hosts := p.seen()
	if len(faults) > 0 {
		t.Errorf("the page must be quiet: %s", strings.Join(faults, "\n"))
	}
	if len(hosts) != 1 || hosts[0] != p.gate.address() {
		t.Errorf("hosts %q were asked, must be only %s", hosts, p.gate.address())
	}
	p.plainHTTP()
}

// open loads the page, at a screen by its address.
func (p *pageTest) open(hash string) {
	p.Helper()
	p.call("Page.navigate", map[string]any{"url": "about:blank"}, nil)
	p.call("Page.navigate", map[string]any{"url": "http://" + p.base + "/" + hash}, nil)
	p.wait("the page", "location.host && document.readyState === 'complete' && document.querySelector('h1')")
}

// show goes to a screen within the page.
func (p *pageTest) show(hash string) {
	p.Helper()
	p.eval("location.hash = "+quoted(hash), nil)
	p.settled()
}

// settled waits until the screen has all that it fetches, and is drawn.
func (p *pageTest) settled() {
	p.Helper()
	p.eval("await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))", nil)
	p.wait("the screen", "!document.querySelector('main').innerText.includes('Asking the gateway')")
}

// logIn writes a password and waits for what comes of it. A wrong one has the page wait
// before the next try.
func (p *pageTest) logIn(password, result string) {
	p.Helper()
	p.wait("the log in", "document.querySelector('input[name=password]')")
	p.wait("another try", "!document.querySelector('.login .btn.primary').disabled")
	p.fill("input[name=password]", password)
	p.click("Log in")
	p.waitText(result)
}

// firstRun goes through the four steps, and returns the API key that it made.
func (p *pageTest) firstRun() string {
	p.Helper()
	p.fill("input[name=country]", "france 863")
	p.click("France")
	p.wait("one plan", "document.querySelectorAll('.picks input:checked').length === 1")
	p.click("Go on")
	p.waitText("is connected, plan EU_863_870_TTN")
	p.click("Go on")
	p.click("Make a key")
	p.fill("dialog[open] #secret", pageSecret)
	p.eval("document.querySelector('dialog .primary').click()", nil)
	p.waitText("it is shown only this once")
	var key string
	p.eval(`const texts = [...document.querySelectorAll('.facts code')].map((e) => e.textContent);
		return texts.find((text) => text.startsWith('NNSXS.'));`, &key)
	p.click("Python")
	p.waitText("paho.mqtt.client")
	p.click("I have copied it")
	p.waitText("Listening for join-requests")
	return key
}

// addDevice lets the device try to join, and adds it by what the page makes of that.
func (p *pageTest) addDevice() {
	p.Helper()
	p.join()
	p.click("It is mine: add it")
	p.wait("the DevEUI of the device", "document.querySelector('input[name=devEUI]')?.value === '70B3D57ED0000001'")
	p.click("Add device")
	p.wait("two mistakes", "document.querySelectorAll('.err').length === 2 && document.activeElement.name === 'id'")
	p.fill("input[name=id]", "barn-temp-1")
	p.fill("input[name=appKey]", fmt.Sprintf("0x%X", pageRoot[:]))
	p.click("Add device")
	p.wait("the live events", "location.hash === '#/live'")
	p.hears("its join-accept", p.join, func(h air.Heard) bool { return h.JoinAccept != nil })
	p.waitText("Joined")
	p.uplink(1, hostileText)
	p.wait("its frame", `[...document.querySelectorAll('.ev')].some((e) =>
		e.querySelector('.fc') && e.querySelector('.who').textContent === 'barn-temp-1')`)
}

// join has the device send a join-request, as soon as it can.
func (p *pageTest) join() {
	p.Helper()
	eventually(p, patience, "a join-request", func() bool {
		_, err := p.device.Join()
		return err == nil
	})
}

// uplink has the device send a frame, as soon as it can.
func (p *pageTest) uplink(port uint8, payload string) {
	p.Helper()
	up := frame.Data{MType: frame.UnconfirmedUp, FPort: port, HasFPort: true, FRMPayload: []byte(payload)}
	eventually(p, patience, "an uplink", func() bool {
		_, err := p.device.Send(up)
		return err == nil
	})
}

// hears sends until the device hears something in answer: on a loaded machine an answer may
// come too late, as it may on the air.
func (p *pageTest) hears(what string, send func(), is func(air.Heard) bool) {
	p.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		send()
		for window := time.After(answerTime); ; {
			select {
			case h := <-p.heard:
				if is(h) {
					return
				}
				continue
			case <-window:
			}
			break
		}
	}
	p.Fatalf("the device does not hear %s within %v", what, patience)
}

// decode writes a payload formatter, tries it on the frame that was heard, and saves it.
func (p *pageTest) decode() {
	p.Helper()
	p.show("#/formatters/app1/barn-temp-1")
	p.fill("select[name=kind]", "FORMATTER_JAVASCRIPT")
	p.fill("textarea[name=script]", "function decodeUplink(input) {\n  return oops;\n}")
	p.click("Test")
	p.waitText("oops is not defined")
	p.wait("the line that is wrong", "document.querySelector('.badline')?.textContent === '2'")
	p.fill("textarea[name=script]", `function decodeUplink(input) {
		const text = String.fromCharCode.apply(null, input.bytes);
		return {data: {"<b>text</b>": text, temperature: input.bytes.length / 4}};
	}`)
	p.click("Test")
	p.waitText(`"temperature": 6.25`)
	p.click("Save")
	p.waitText("Saved. The next frame is decoded with it.")
	p.uplink(1, "four")
	p.open("#/formatters/app1/barn-temp-1")
	p.wait("the script that was saved", "document.querySelector('[name=script]')?.value.includes('fromCharCode')")
	p.show("#/device/app1/barn-temp-1")
	p.wait("the value", "[...document.querySelectorAll('.values .v')].some((e) => e.textContent.trim() === '1')")
}

// downlink pushes one to the device, which hears it after its next frame.
func (p *pageTest) downlink() {
	p.Helper()
	p.show("#/device/app1/barn-temp-1/downlinks")
	p.fill("textarea[name=payload]", "BE E")
	p.waitText("Pairs of the digits")
	push := func() {
		p.fill("textarea[name=payload]", "BE EF")
		p.fill("input[name=port]", "15")
		p.click("Send")
		p.wait("the queue", "document.querySelector('.queue')?.textContent.includes('BEEF')")
		p.uplink(1, hostileText)
	}
	p.hears("the downlink", push, func(h air.Heard) bool {
		return h.Data != nil && string(h.Data.FRMPayload) == "\xBE\xEF"
	})
	p.wait("what became of it", "document.querySelector('.outcomes')?.textContent.includes('BEEF')")
}

// hostile has texts from outside come that would do something if they became markup. It
// returns an MQTT client that has logged in.
func (p *pageTest) hostile(key string) (client net.Conn) {
	p.Helper()
	p.show("#/device/app1/barn-temp-1/settings")
	p.fill("input[name=name]", hostileName)
	p.click("Save")
	p.waitText("It has characters that hide or turn text round")
	broker := p.daemon.d.mqttAddr().String()
	client = p.connect(broker, hostileName, "app1", key, 0)
	p.connect(broker, hostileName, "app1", "wrong", 5)
	p.connect(broker, "x", hostileText, "wrong", 5)
	p.show("#/integrations")
	p.wait("the client", "document.querySelector('.clients')?.textContent.includes('<img src=x')")
	p.wait("its failed logins", "document.querySelector('.failed')?.textContent.includes('<script>')")
	return client
}

// connect logs in to the broker with MQTT 3.1.1. The connection stays until the test ends.
func (p *pageTest) connect(address, client, user, password string, want byte) net.Conn {
	p.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { _ = conn.Close() })
	body := []byte("\x00\x04MQTT\x04\xC2\x00\x00") // user, password, clean session; no keep-alive
	for _, text := range []string{client, user, password} {
		body = append(body, byte(len(text)>>8), byte(len(text)))
		body = append(body, text...)
	}
	head := []byte{0x10, byte(len(body)&0x7F | 0x80), byte(len(body) >> 7)}
	if _, err := conn.Write(append(head, body...)); err != nil {
		p.Fatal(err)
	}
	var answer [4]byte
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadFull(conn, answer[:]); err != nil || answer[3] != want {
		p.Fatalf("CONNACK %x, %v; must end in %d", answer, err, want)
	}
	return conn
}

// importDevices takes devices from a file, one of which is refused.
func (p *pageTest) importDevices() {
	p.Helper()
	p.show("#/import")
	file := settledDevice("soil-north", "01AB0001", 1) + "\n" +
		strings.Replace(settledDevice("soil-south", "01AB0002", 1), "0102030405060708", "0102030405060709", 1) + "\n"
	p.eval(fmt.Sprintf(`const files = new DataTransfer();
		files.items.add(new File([%s], '<i>devices</i>.json'));
		const input = document.querySelector('input[type=file]');
		input.files = files.files;
		input.dispatchEvent(new Event('change', {bubbles: true}));`, quoted(file)), nil)
	p.click("Import 2 devices")
	p.waitText("2 devices imported")
	p.wait("the list", "document.querySelectorAll('.full tbody tr').length === 3")
}

// cut has the connection go away and come back: what happens meanwhile is not lost and
// comes once.
func (p *pageTest) cut() {
	p.Helper()
	const tryNow = "document.querySelector('.banner .btn')"
	p.size(1280, 800)
	p.show("#/live")
	p.gate.shut()
	p.waitText("No connection to the gateway")
	p.uplink(1, "meanwhile")
	p.wait("a way to try at once", tryNow)
	p.gate.reopen()
	p.eval(tryNow+"?.click()", nil) // unless it has tried by itself
	const rows = "[...document.querySelectorAll('.ev')].filter((e) => e.textContent.includes('meanwhile')).length"
	p.wait("what came meanwhile", rows+" === 1")
	p.wait("no banner", "!document.querySelector('.banner')")
	p.uplink(1, "afterwards")
	p.wait("the stream", "document.querySelector('.ev').textContent.includes('afterwards')")
	p.wait("no event twice", rows+" === 1")
}

// keyboard goes through a dialog with keys only: it opens on what does no harm, and focus
// comes back.
func (p *pageTest) keyboard() {
	p.Helper()
	p.size(1280, 800)
	p.show("#/device/app1/soil-south/settings")
	p.eval("[...document.querySelectorAll('.rows .btn')].find((e) => e.innerText === 'Delete').focus()", nil)
	p.press("Enter", "\r")
	p.wait("the question", "document.querySelector('dialog').open && document.activeElement.innerText === 'Cancel'")
	p.press("Escape", "")
	p.wait("focus where it was", "!document.querySelector('dialog').open && document.activeElement.innerText === 'Delete'")
	p.open("#/devices")
	p.settled()
	p.press("Tab", "")
	p.wait("the way past the navigation", "document.activeElement.className === 'skip'")
	p.press("Enter", "\r")
	p.wait("focus on the heading", "document.activeElement.tagName === 'H1'")
}

// revoke takes the API key away: the client that uses it is cut off.
func (p *pageTest) revoke(client net.Conn) {
	p.Helper()
	p.show("#/integrations")
	p.click("Revoke Node-RED")
	p.wait("the question", "document.querySelector('dialog').open")
	p.eval("document.querySelector('dialog .danger').click()", nil)
	p.waitText("Key revoked")
	_ = client.SetReadDeadline(time.Now().Add(patience))
	if n, err := client.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
		p.Errorf("the client of a revoked key reads %d bytes, %v", n, err)
	}
}

// sessionEnds changes the password elsewhere: the page has to log in again, and is back
// where it was.
func (p *pageTest) sessionEnds() {
	p.Helper()
	p.show("#/system")
	p.site.must("another password\n", "web", "password")
	p.logIn("another password", "For a bug report")
	p.wait("the screen of before", "location.hash === '#/system'")
	p.click("Log out")
	p.wait("the log in", "location.hash === '#/login'")
}

// pictureOf keeps a picture of a screen, where they are wanted.
func (p *pageTest) pictureOf(name string) {
	if dir := os.Getenv(picturesEnv); dir != "" {
		p.picture(filepath.Join(dir, name+".png"))
	}
}
