package codec

import (
	"strings"
	"sync"
	"testing"

	"lorawand/bridge/access"
	"lorawand/bridge/formatter"
	"lorawand/bridge/session"
)

var sensor = session.VersionIDs{Brand: "acme", Model: "sensor", Firmware: "1.0", Band: "EU_863_870"}

// own are formatters that a device has of its own.
func own(up, upParam, down string) session.Formatters {
	return session.Formatters{Set: true, Up: up, UpParameter: upParam, Down: down}
}

var resolverCases = []struct {
	name, app        string
	own              session.Formatters
	ids              session.VersionIDs
	up, down         formatter.Kind
	upWarn, downWarn string
}{
	{name: "nothing at all", app: "app1"},
	{name: "the application's", app: "scripts", up: formatter.JavaScript, down: formatter.CayenneLPP},
	{name: "an empty message switches both off", app: "scripts", own: own("", "", "")},
	{name: "NONE switches both off", app: "scripts", own: own(None, "", "")},
	{
		name: "its own, and the other direction has none", app: "scripts", own: own(CayenneLPP, "", ""),
		up: formatter.CayenneLPP,
	},
	{
		name: "both its own", app: "app1", own: own(JavaScript, "x", CayenneLPP), up: formatter.JavaScript,
		down: formatter.CayenneLPP,
	},
	{
		name: "the maker's", app: "app1", own: own(Repository, "", Repository), ids: sensor, up: formatter.JavaScript,
		down: formatter.JavaScript,
	},
	{
		name: "the maker's, for the application", app: "makers", ids: sensor, up: formatter.JavaScript,
		down: formatter.JavaScript,
	},
	{name: "a model alone is no formatter", app: "app1", ids: sensor},
	{
		name: "the maker's, without a model", app: "makers", upWarn: "does not tell its brand and model",
		downWarn: "does not tell its brand",
	},
	{
		name: "the maker's, not imported", app: "app1", own: own(Repository, "", None),
		ids:    session.VersionIDs{Brand: "other", Model: "x"},
		upWarn: "payload formatter: no codec: that of other/x is not imported",
	},
	{name: "a server", app: "app1", own: own(None, "", GRPCService), downWarn: "FORMATTER_GRPC_SERVICE is not served"},
	{name: "one of another time", app: "app1", own: own("FORMATTER_LUA", "", ""), upWarn: `"FORMATTER_LUA" is not known`},
	{
		name: "a script that is too long", app: "app1", own: own(JavaScript, strings.Repeat("x", formatter.MaxScript+1), ""),
		upWarn: "40961 bytes",
	},
	{
		name: "the maker's, as long as it may be", app: "app1", own: own(Repository, "", ""), up: formatter.JavaScript,
		ids: session.VersionIDs{Brand: "acme", Model: "long"},
	},
	{name: "an empty script", app: "app1", own: own(JavaScript, "", ""), up: formatter.JavaScript},
}

// Which formatter a device has, by its own, its application's and its model's.
func TestResolver(t *testing.T) {
	apps := access.NewApplications()
	apps.Put(access.Application{
		ID: "scripts", Up: access.Formatter{Kind: JavaScript, Parameter: "app"},
		Down: access.Formatter{Kind: CayenneLPP},
	})
	apps.Put(access.Application{
		ID: "makers", Up: access.Formatter{Kind: Repository},
		Down: access.Formatter{Kind: Repository},
	})
	l := library(t)
	r := NewResolver(apps, l)
	long := strings.Repeat("x", formatter.MaxCodec)
	l.Put([]*Model{{Brand: "acme", ID: "long", Versions: []Version{{Codecs: map[string]string{"EU_863_870": "acme/long"}}}}},
		[]*Codec{{Brand: "acme", ID: "long", Files: map[string]string{"long.js": long}, UplinkDecoder: "long.js"}})
	for _, tt := range resolverCases {
		d := &session.Device{ID: session.ID{Application: tt.app, Device: "dev1"}, Formatters: tt.own, VersionIDs: tt.ids}
		up, upWarn := r.Uplink(d)
		down, downWarn := r.Downlink(d)
		if up.Kind() != tt.up || down.Kind() != tt.down {
			t.Errorf("%s: %v and %v, want %v and %v", tt.name, up.Kind(), down.Kind(), tt.up, tt.down)
		}
		if !strings.Contains(upWarn, tt.upWarn) || (upWarn == "") != (tt.upWarn == "") ||
			!strings.Contains(downWarn, tt.downWarn) || (downWarn == "") != (tt.downWarn == "") {
			t.Errorf("%s: warnings %q and %q", tt.name, upWarn, downWarn)
		}
	}
	d := &session.Device{ID: session.ID{Application: "makers", Device: "dev1"}, VersionIDs: sensor}
	if up, down := r.Choose(d); !up.Default || up.Codec.Key() != "acme/one" || !down.Default || down.Err != nil {
		t.Errorf("%+v, %+v", up, down)
	}
}

// The resolver sees a change at the next question, and makes nothing anew that has not
// changed.
func TestResolverRemembers(t *testing.T) {
	apps, l := access.NewApplications(), library(t)
	r := NewResolver(apps, l)
	d := &session.Device{ID: session.ID{Application: "app1", Device: "dev1"}}
	kind := func() formatter.Kind { f, _ := r.Uplink(d); return f.Kind() }
	if kind() != formatter.None {
		t.Error("nothing is set")
	}
	apps.Put(access.Application{ID: "app1", Up: access.Formatter{
		Kind:      JavaScript,
		Parameter: strings.Repeat("x", 30_000),
	}})
	if kind() != formatter.JavaScript {
		t.Error("the application has changed")
	}
	before, _ := r.Uplink(d)
	if after, _ := r.Uplink(d); before != after {
		t.Error("the script was hashed once more")
	}
	other := &session.Device{ID: session.ID{Application: "app1", Device: "dev2"}}
	if same, _ := r.Uplink(other); before != same {
		t.Error("the script was hashed once more for another device")
	}
	if n := testing.AllocsPerRun(100, func() { r.Uplink(d) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	d.Formatters = session.Formatters{Set: true, Up: Repository}
	d.VersionIDs = session.VersionIDs{Brand: "acme", Model: "meter"}
	if kind() != formatter.JavaScript {
		t.Error("the device has changed")
	}
	models, codecs := l.Of("acme/meter")
	l.Remove(models, codecs)
	if f, warning := r.Uplink(d); f.Kind() != formatter.None || !strings.Contains(warning, "acme/meter is not imported") {
		t.Errorf("the codec is gone: %v, %q", f.Kind(), warning)
	}
	l.Put(acme())
	if f, warning := r.Uplink(d); f.Kind() != formatter.JavaScript || warning != "" {
		t.Errorf("the codec is there: %v, %q", f.Kind(), warning)
	}
	apps.Remove("app1")
	d.Formatters = session.Formatters{}
	if kind() != formatter.None {
		t.Error("the application is gone")
	}
	r.Forget(d.ID, other.ID)
	if len(r.answer) != 0 {
		t.Error("it is remembered")
	}
}

func TestResolverIsBounded(t *testing.T) {
	apps := access.NewApplications()
	r := NewResolver(apps, library(t))
	d := &session.Device{ID: session.ID{Application: "app1", Device: "dev1"}}
	for i := range maxScripts + 10 {
		apps.Put(access.Application{ID: "app1", Up: access.Formatter{Kind: JavaScript, Parameter: strings.Repeat("x", i)}})
		if f, _ := r.Uplink(d); f.Kind() != formatter.JavaScript || len(r.scripts) > maxScripts {
			t.Fatalf("%d scripts", len(r.scripts))
		}
	}
	for i := range maxAnswers + 10 {
		r.Uplink(&session.Device{ID: session.ID{Application: "app1", Device: strings.Repeat("x", i%36) +
			string(rune('a'+i%26)) + string(rune(i))}})
	}
	if len(r.answer) > maxAnswers {
		t.Errorf("%d answers", len(r.answer))
	}
}

// With -race: several ask while others change.
func TestResolverTogether(t *testing.T) {
	apps, l := access.NewApplications(), library(t)
	r := NewResolver(apps, l)
	var wg sync.WaitGroup
	for range 4 {
		d := &session.Device{
			ID:         session.ID{Application: "app1", Device: "dev1"},
			VersionIDs: session.VersionIDs{Brand: "acme", Model: "meter"},
		}
		wg.Go(func() {
			for range 200 {
				if f, w := r.Uplink(d); f.Kind() == formatter.None && w != "" && !strings.Contains(w, "meter") {
					t.Errorf("%v, %s", f, w)
				}
				r.Formatter(d, formatter.DecodeDownlink)
			}
		})
	}
	for i := range 100 {
		apps.Put(access.Application{ID: "app1", Up: access.Formatter{Kind: Repository, Parameter: strings.Repeat("x", i)}})
		models, codecs := l.Of("acme/meter")
		l.Remove(models, codecs)
		l.Put(acme())
	}
	wg.Wait()
}
