package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"lorawand/bridge/session"
)

func tree(t *testing.T, text string) Tree {
	t.Helper()
	out, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func text(t *testing.T, v Tree) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestMergeAndSelect(t *testing.T) {
	const was = `{"ids":{"device_id":"dev1","dev_eui":"01"},"mac_settings":{"rx1_delay":1,"rx2_frequency":"869525000"},"name":"old"}`
	for _, tt := range []struct{ name, from, paths, merged, selected string }{
		{"a field", `{"name":"new","description":"d"}`, "name", `"name":"new"`, `{"ids":{"dev_eui":"01","device_id":"dev1"},"name":"new"}`},
		{"one that is not told goes", `{}`, "name", `"rx1_delay":1`, `{"ids":{"dev_eui":"01","device_id":"dev1"}}`},
		{"inside", `{"mac_settings":{"rx1_delay":5}}`, "mac_settings.rx1_delay", `"rx2_frequency":"869525000"`, `{"ids":{"dev_eui":"01","device_id":"dev1"},"mac_settings":{"rx1_delay":5}}`},
		{"inside of what is no object", `{"name":{"a":1}}`, "name.a", `"name":{"a":1}`, `{"ids":{"dev_eui":"01","device_id":"dev1"},"name":{"a":1}}`},
		{"EUIs that are there stay", `{"ids":{"dev_eui":"02","join_eui":"03"}}`, "name", `"dev_eui":"01"`, `{"ids":{"dev_eui":"01","device_id":"dev1","join_eui":"03"}}`},
		{"but where they are named", `{"ids":{"dev_eui":"02"}}`, "ids.dev_eui", `"dev_eui":"02"`, `{"ids":{"dev_eui":"02","device_id":"dev1"}}`},
		{"the id stays", `{"ids":{"device_id":"dev2"}}`, "ids", `"device_id":"dev1"`, `{"ids":{"dev_eui":"01","device_id":"dev1"}}`},
		{"ids that are no object", `{"ids":7}`, "ids", `"device_id":"dev1"`, `{"ids":{"dev_eui":"01","device_id":"dev1"}}`},
	} {
		into, paths := tree(t, was), strings.Split(tt.paths, ",")
		Merge(into, tree(t, tt.from), paths)
		if got := text(t, into); !strings.Contains(got, tt.merged) {
			t.Errorf("%s: %s has no %s", tt.name, got, tt.merged)
		}
		if got := text(t, Select(into, paths)); got != tt.selected {
			t.Errorf("%s: selected is %s, want %s", tt.name, got, tt.selected)
		}
	}
	if got, err := Parse([]byte("null")); err != nil || got == nil {
		t.Errorf("null: %v, %v", got, err)
	}
	if _, err := Parse([]byte("[]")); err == nil {
		t.Error("a list is taken for a device")
	}
}

func TestDrafts(t *testing.T) {
	var d Drafts
	now := time.Unix(0, 0)
	id := func(n int) session.ID { return session.ID{Application: "app1", Device: fmt.Sprintf("dev%d", n)} }
	draft := func() *Draft {
		return &Draft{Tree: tree(t, `{"ids":{"dev_eui":"AA","join_eui":"BB"},"name":"x"}`), In: map[string]bool{"is": true}}
	}
	for i := range maxDrafts {
		if err := d.Put(id(i), draft(), now); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Put(id(maxDrafts), draft(), now); !errors.Is(err, ErrTooMany) {
		t.Errorf("one more: %v", err)
	}
	if err := d.Put(id(0), draft(), now); err != nil {
		t.Errorf("one that is there: %v", err)
	}
	long := draft()
	long.Tree["name"] = strings.Repeat("x", maxDraft)
	if err := d.Put(id(0), long, now); !errors.Is(err, ErrTooLong) {
		t.Errorf("a long one: %v", err)
	}
	copied := d.Draft(id(1), now)
	copied.Tree["ids"].(map[string]any)["dev_eui"], copied.In["ns"] = "CC", true
	if again := d.Draft(id(1), now); text(t, again.Tree) != text(t, draft().Tree) || again.Has("ns") || !again.Has("is") {
		t.Errorf("a copy changes the draft: %s", text(t, again.Tree))
	}
	if _, found := d.ByEUIs("BB", "AA", now); !found {
		t.Error("not found by its EUIs")
	}
	d.Remove(id(1))
	later := now.Add(draftLife + time.Second)
	if _, found := d.ByEUIs("BB", "AA", later); found || d.Draft(id(1), now) != nil || d.Draft(id(2), later) != nil {
		t.Error("drafts that are gone are found")
	}
	if err := d.Put(id(maxDrafts), draft(), later); err != nil || len(d.byID) != 1 {
		t.Errorf("%d drafts, %v", len(d.byID), err)
	}
}

// Of keys only those are told that the change has told; the device keeps all.
func TestTold(t *testing.T) {
	const was = `{"attributes":{"keys":"blue"},"ids":{"device_id":"dev1"},"mac_state":{"queued_join_accept":{"keys":{"a":"1"}},` +
		`"x":1},"pending_session":{"keys":{"a":"1"}},"root_keys":{"app_key":{"key":"1"}},"session":{"dev_addr":"2","keys":{"a":"1"}}}`
	const bare = `{"attributes":{"keys":"blue"},"ids":{"device_id":"dev1"},"mac_state":{"queued_join_accept":{},"x":1},` +
		`"pending_session":{},`
	for _, tt := range []struct{ name, from, paths, want string }{
		{"nothing", `{}`, "name", bare + `"session":{"dev_addr":"2"}}`},
		{"its root keys", `{"root_keys":{"app_key":{"key":"1"}}}`, "root_keys", bare + `"root_keys":{"app_key":{"key":"1"}},"session":{"dev_addr":"2"}}`},
		{"one of them", `{"root_keys":{"app_key":{"key":"1"}}}`, "root_keys.app_key.key", bare + `"root_keys":{"app_key":{"key":"1"}},"session":{"dev_addr":"2"}}`},
		{"told, and not named", `{"root_keys":{"app_key":{"key":"1"}}}`, "name", bare + `"session":{"dev_addr":"2"}}`},
		{"named, and not told", `{}`, "root_keys,session.keys", bare + `"session":{"dev_addr":"2"}}`},
		{"a session", `{"session":{"dev_addr":"2","keys":{"a":"1"}}}`, "session", bare + `"session":{"dev_addr":"2","keys":{"a":"1"}}}`},
		{"another id", `{"ids":{"device_id":"dev2"}}`, "ids", bare + `"session":{"dev_addr":"2"}}`},
	} {
		device := tree(t, was)
		if got := text(t, Told(device, tree(t, tt.from), strings.Split(tt.paths, ","))); got != tt.want {
			t.Errorf("%s:\n%s, want\n%s", tt.name, got, tt.want)
		}
		if got := text(t, device); got != was {
			t.Errorf("%s: the device is now %s", tt.name, got)
		}
	}
}

// An application with many drafts makes room for others, and gets no more itself.
func TestDraftsAreShared(t *testing.T) {
	var d Drafts
	now := time.Unix(0, 0)
	put := func(application string, n int) error {
		now = now.Add(time.Second)
		return d.Put(session.ID{Application: application, Device: fmt.Sprintf("dev%d", n)}, &Draft{Tree: Tree{}}, now)
	}
	count := func(application string) (n int) {
		for id := range d.byID {
			if id.Application == application {
				n++
			}
		}
		return n
	}
	for n := range maxDrafts {
		if err := put("app2", n); err != nil {
			t.Fatal(err)
		}
	}
	if err := put("app2", maxDrafts); !errors.Is(err, ErrTooMany) {
		t.Errorf("one more of the same: %v", err)
	}
	for n := range maxDrafts / 2 {
		if err := put("app1", n); err != nil {
			t.Fatal(err)
		}
	}
	if err := put("app1", maxDrafts); !errors.Is(err, ErrTooMany) {
		t.Errorf("more than half: %v", err)
	}
	oldest := session.ID{Application: "app2", Device: "dev0"}
	if count("app1") != maxDrafts/2 || count("app2") != maxDrafts/2 || d.Draft(oldest, now) != nil {
		t.Errorf("%d and %d drafts", count("app1"), count("app2"))
	}
	if err := put("app3", 0); err != nil || count("app3") != 1 || len(d.byID) != maxDrafts {
		t.Errorf("a third application: %v", err)
	}
}
