//go:build !small

package formatter

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/formatter/formattertest"
)

// tooMuch is how a script ends that needs ever more memory: at its time, at its
// memory, or with its child, whose kernel can be faster than our watch.
const tooMuch = "script_timeout script_memory formatter_child"

// hostile are scripts that want the machine for themselves, and what each is
// answered with: name of the error, or the decoded payload.
var hostile = []struct {
	name, script string
	want         string // names of errors, or decoded_payload
}{
	{"endless loop", "while (true) {}", "script_timeout"},
	{"endless loop while it is read", "}; while (true) {} {", "script_timeout"},
	{
		"endless loop that catches", "for (;;) { try { while (true) {} } catch (e) {} finally { while (true) {} } }",
		"script_timeout",
	},
	{"endless recursion", "function f(n) { return f(n + 1); } return { data: f(0) };", "script script_timeout"},
	{"endless recursion that catches", "function f() { try { f(); } finally { f(); } } f();", "script script_timeout"},
	{"recursion in native functions", "function f() { [1].forEach(f); } f();", "script script_timeout"},
	{"recursion in a comparator", "function f() { [2, 1].sort(f); return 0; } f();", "script script_timeout"},
	{
		"recursion in toString", "var o = { toString: function () { return '' + o; } }; return '' + o;",
		"script script_timeout",
	},
	{
		"recursion in JSON", "var o = { toJSON: function () { return JSON.stringify(o); } }; JSON.stringify(o);",
		"script script_timeout",
	},
	{
		"chain of proxies", "var p = {}; for (var i = 0; i < 100000; i++) p = new Proxy(p, {}); return { data: { a: p.x } };",
		"script script_timeout script_memory formatter_child",
	},
	{
		"deep JSON", "return { data: JSON.parse('['.repeat(1e6) + ']'.repeat(1e6)) };",
		"script script_timeout script_memory output formatter_child",
	},
	{"array that grows", "var a = []; while (true) a.push(new Array(100).fill(7));", tooMuch},
	{"objects that grow", "var o = {}; for (var i = 0; ; i++) o['k' + i] = { i: i };", tooMuch},
	{"string that doubles", "var s = 'x'; while (true) s += s;", "script script_timeout script_memory formatter_child"},
	{
		"string that is repeated", "return { data: { s: 'x'.repeat(1e8) } };",
		"script_memory script_timeout script output formatter_child",
	},
	{
		"string that is filled", "return { data: { s: 'x'.padEnd(5e8, 'ab') } };",
		"script_memory script_timeout script output formatter_child",
	},
	{"huge array", "return { data: { n: new Array(5e7).fill(1).length } };", tooMuch},
	{"huge sparse array", "return { data: { a: new Array(4e9) } };", "output"},
	{
		"huge typed array", "return { data: { n: new Float64Array(1e8).fill(1).length } };",
		"script_memory script script_timeout formatter_child",
	},
	{"huge sort", "var a = []; for (var i = 0; i < 3e6; i++) a.push(-i); a.sort();", tooMuch},
	{"bad comparator", "var a = []; for (var i = 0; i < 500; i++) a.push(i); a.sort(function () { return Math.random() - 0.5; }); return { data: { n: a.length } };", `{"n":500}`},
	{
		"comparator that changes its array",
		"var a = [3, 2, 1]; a.sort(function () { a.length = 0; a.push(9); return 1; }); return { data: {} };", "{} script",
	},
	{"comparator without end", "[3, 2, 1].sort(function () { for (;;); });", "script_timeout"},
	{"regular expression", "return { data: { m: /^(a+)+$/.test('a'.repeat(40) + 'b') } };", `{"m":false} script_timeout`},
	{
		"regular expression with a back-reference", `return { data: { m: /(a+)+\1$/.test('a'.repeat(40) + 'b') } };`,
		"script_timeout",
	},
	{"huge big integer", "var b = BigInt(2); for (;;) b = b * b;", tooMuch + " script"},
	{"getter without end", "return { get data() { for (;;); } };", "script_timeout"},
	{"getter in a list without end", "return { data: { a: [1, { get b() { for (;;); } }] } };", "script_timeout"},
	{"getters that go on", "function o() { return { get a() { return o(); } }; } return { data: o() };", "output"},
	{"itself as a member", "var o = {}; o.o = o; return { data: o };", "output"},
	{"list in itself", "var a = []; a[0] = a; return { data: { a: a } };", "output"},
	{"warnings that go on", "return { data: {}, warnings: { length: 1e9 } };", "output"},
	{"many warnings", "return { data: {}, warnings: new Array(1e4).fill('w') };", "{}"},
	{
		"many members", "var o = {}; for (var i = 0; i < 20000; i++) o['k' + i] = i; return { data: o };",
		"output script_timeout",
	},
	{
		"keys of a proxy without end", "return { data: new Proxy({}, { ownKeys: function () { for (;;); } }) };",
		"script_timeout",
	},
	{"proxy that answers anything", "return { data: new Proxy({}, { get: function () { return 1; } }) };", "{}"},
	{"result that is a proxy", "return new Proxy({}, { get: function (t, k) { return k === 'data' ? { a: 1 } : undefined; } });", `{"a":1}`},
	{"proxy of an array", "return { data: { a: new Proxy([], { get: function (t, k) { return k === 'length' ? 1e9 : 1; } }) } };", `{"a":{}} output`},
	{"revoked proxy", "var r = Proxy.revocable({}, {}); r.revoke(); return { data: { p: r.proxy } };", "script"},
	{
		"promise without end", "function f() { return Promise.resolve().then(f); } f(); return { data: { a: 1 } };",
		tooMuch,
	},
	{"promise that nobody keeps", "return new Promise(function () {});", "{}"},
	{"throws undefined", "throw undefined;", "script"},
	{"throws null", "throw null;", "script"},
	{"throws what has no text", "throw { toString: function () { throw 1; } };", "script"},
	{"throws what has no end", "throw { toString: function () { for (;;); } };", "script_timeout"},
	{"throws a symbol", "throw Symbol('x');", "script"},
	{"eval without end", "eval('while (true) {}');", "script_timeout"},
	{"function without end", "new Function('while (true) {}')();", "script_timeout"},
	{"source map", "eval('//# sourceMappingURL=/etc/passwd'); return { data: {} };", "{}"},
	{"log without end", "for (;;) console.log('x'.repeat(1000));", "script_timeout"},
	{"other hands for all", "Object.prototype.get = Array.prototype.map = JSON.parse = Date = String = undefined; " +
		"Object.prototype.data = 5; " +
		"Array.prototype.push = function () { for (;;); }; Object.defineProperty(Object.prototype, 'warnings', { get: function () { return ['evil']; } }); return { data: { a: 1 } };", `{"a":1}`},
	{"other global object", "globalThis.decodeUplink = undefined; globalThis.console = 5; Object.freeze(globalThis); " +
		"return { data: {} };", "{}"},
}

// After any script, the next one of another device is decoded as ever; the
// daemon's own memory stays as it was.
func TestHostileScripts(t *testing.T) {
	p := newPool(t, Options{})
	good := javaScript(t, "function decodeUplink(i) { var a = []; a.push(i.bytes[0]); return { data: { a: "+
		"a.map(function (x) { return x + 1; }), t: String(1) } }; }")
	ask := func(f Formatter) Result {
		return p.Do(within(t, 2*time.Minute), Request{Formatter: f, Task: DecodeUplink, FPort: 1, Bytes: []byte{1}})
	}
	neighbour := func(after string) {
		t.Helper()
		if r := ask(good); string(r.Data) != `{"a":[2],"t":"1"}` || r.Fail != nil {
			t.Fatalf("after %s: %s, %v", after, r.Data, r.Fail)
		}
	}
	for range 20 {
		neighbour("start")
	}
	before := ownMemory(t)
	emulated := formattertest.Command(t) != nil
	for i, h := range hostile {
		if i > 0 && h.want == "script_timeout" && emulated {
			continue // One deadline is like another, and each takes seconds there.
		}
		t.Run(h.name, func(t *testing.T) {
			f := javaScript(t, "function decodeUplink(input) { "+h.script+" }")
			r := ask(f)
			got := string(r.Data)
			if r.Fail != nil {
				got = r.Fail.Name
			}
			if !strings.Contains(" "+h.want+" ", " "+got+" ") {
				t.Errorf("%s (%v), not %s", got, r.Fail, h.want)
			}
			if r.Fail != nil && len(r.Warnings) == 0 {
				t.Error("no warning")
			}
			neighbour(h.name)
		})
	}
	grown := ownMemory(t) - before
	t.Logf("grown by %d kB", grown>>10)
	most := int64(2 << 20)
	if emulated {
		most *= 2 // as the scripts want 100 and more, this tells as much
	}
	if grown > most && !raceDetector {
		t.Errorf("the memory of this process grew by %d kB", grown>>10)
	}
	t.Logf("%+v", p.Stats())
}

// ownMemory returns the resident memory of this process that no file backs;
// under emulation, what the runtime has, as the rest is the emulator's.
func ownMemory(t *testing.T) int64 {
	t.Helper()
	debug.FreeOSMemory()
	if formattertest.Command(t) != nil {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.Sys - m.HeapReleased)
	}
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	return statusField(b, "RssAnon")
}

// The next run of a script, even of the same one, finds nothing that the last run has left
// behind.
func TestNothingIsLeftBehind(t *testing.T) {
	p := newPool(t, Options{})
	f := javaScript(t, `var seen = Object.prototype.seen; Object.prototype.seen = true;
		Array.prototype.map = function () { return ["evil"]; };
		globalThis.left = (globalThis.left || 0) + 1; JSON.parse = null; Math.max = function () { return 666; };
		function decodeUplink(i) { return { data: { seen: seen, left: left, max: Math.max(1, 2) } }; }`)
	other := javaScript(t, `function decodeUplink(i) {
		return { data: {
			seen: ({}).seen, left: typeof left, max: Math.max(1, 2), map: [1].map(function (x) { return x; }),
			json: JSON.parse("[1]"),
		} };
	}`)
	for range 3 {
		for want, f := range map[string]Formatter{
			`{"left":1,"max":666,"seen":null}`:                              f,
			`{"json":[1],"left":"undefined","map":[1],"max":2,"seen":null}`: other,
		} {
			r := p.Do(within(t, 2*time.Minute), Request{Formatter: f, Task: DecodeUplink, FPort: 1})
			if string(r.Data) != want {
				t.Errorf("%s, %v; not %s", r.Data, r.Fail, want)
			}
		}
	}
}

// One script that has no end costs others the deadline that is running, not
// one for each of its uplinks; the order among others stays.
func TestOneBadScriptCostsOneDeadline(t *testing.T) {
	p := newPool(t, Options{})
	bad := javaScript(t, "function decodeUplink(i) { for (;;); }")
	good := javaScript(t, "function decodeUplink(i) { return { data: { n: i.bytes[0] } }; }")
	ctx := within(t, 2*time.Minute)
	if r := p.Do(ctx, Request{Formatter: bad, Task: DecodeUplink}); r.Fail == nil || r.Fail.Name != "script_timeout" {
		t.Fatalf("%+v", r)
	}
	submit := func(f Formatter, b byte, done func(Result)) {
		if err := p.Submit(Request{Formatter: f, Task: DecodeUplink, Bytes: []byte{b}}, done); err != nil {
			t.Error(err)
		}
	}
	all := make(chan struct{}) // closed when all wait
	submit(good, 0, func(Result) { <-all })
	results := make(chan string, 10)
	for range 5 {
		submit(bad, 0, func(Result) { results <- "bad" })
	}
	for i := range 5 {
		submit(good, byte(i), func(r Result) { results <- string(r.Data) })
	}
	close(all)
	for i := range 5 {
		if got, want := <-results, fmt.Sprintf(`{"n":%d}`, i); got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
}
