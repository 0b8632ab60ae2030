// Package registry shows a device as the four registries of The Things Stack have it:
// the identity server (is), join server (js), network server (ns) and application
// server (as). Its clients create and change a device in steps, one a registry, each
// with the fields that a mask names.
//
// What the steps have told so far is a Draft, until it is enough for a device that can
// be registered. Drafts are kept in memory, for an hour, and there are few: when there are
// too many, the application that has the most loses its oldest, or gets no more.
package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"lorawand/bridge/session"
)

// Tree is a device as JSON has it: objects are maps, numbers json.Number.
type Tree = map[string]any

// Parse reads an object.
func Parse(raw []byte) (Tree, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var t Tree
	if err := dec.Decode(&t); err != nil {
		return nil, err
	}
	if t == nil {
		t = Tree{}
	}
	return t, nil
}

// Merge takes over the fields of from that the paths ("mac_settings.rx1_delay") name.
// What is named and is not there is removed. Of the ids only the EUIs can change, where
// a path names them or there are none yet.
func Merge(into, from Tree, paths []string) {
	for _, p := range paths {
		if p != "ids" && !strings.HasPrefix(p, "ids.") {
			set(into, strings.Split(p, "."), lookup(from, strings.Split(p, ".")))
		}
	}
	ids, given := object(into, "ids"), object(from, "ids")
	for _, name := range []string{"dev_eui", "join_eui"} {
		named := slices.Contains(paths, "ids."+name) || slices.Contains(paths, "ids")
		if v, ok := given[name]; ok && (named || ids[name] == nil) {
			ids[name] = v
		}
	}
	into["ids"] = ids
}

// All returns the paths of all fields of a tree.
func All(t Tree) []string { return slices.Sorted(maps.Keys(t)) }

func object(t Tree, name string) Tree {
	if o, ok := t[name].(map[string]any); ok {
		return o
	}
	return Tree{}
}

func lookup(t Tree, path []string) any {
	v := t[path[0]]
	if len(path) == 1 {
		return v
	}
	if o, ok := v.(map[string]any); ok {
		return lookup(o, path[1:])
	}
	return nil
}

func set(t Tree, path []string, v any) {
	name := path[0]
	if len(path) > 1 {
		inner := object(t, name)
		set(inner, path[1:], v)
		if v = inner; len(inner) == 0 {
			v = nil
		}
	}
	if v == nil {
		delete(t, name)
		return
	}
	t[name] = v
}

// Select returns the ids and the fields that the paths name.
func Select(t Tree, paths []string) Tree {
	out := Tree{"ids": t["ids"]}
	for _, p := range paths {
		if p == "ids" || strings.HasPrefix(p, "ids.") {
			continue
		}
		path := strings.Split(p, ".")
		if v := lookup(t, path); v != nil {
			set(out, path, v)
		}
	}
	return out
}

// Registries are their names in the paths of the API, and the fields that go when a
// device is deleted there.
var Registries = map[string][]string{
	"is": nil, // all of the device
	"js": {"root_keys", "resets_join_nonces", "used_dev_nonces", "last_dev_nonce", "last_join_nonce"},
	"ns": {
		"lorawan_version", "lorawan_phy_version", "frequency_plan_id", "supports_join", "supports_class_b",
		"supports_class_c", "multicast",
		"mac_settings", "mac_state", "session",
	},
	"as": {"formatters", "session.keys.app_s_key", "skip_payload_crypto_override"},
}

// Limits of the paths of a change.
const (
	maxPaths = 128
	maxDepth = 10 // names in a path
)

// Check returns an error for a registry that does not exist, or for paths that no device
// has.
func Check(registry string, paths []string) error {
	if _, ok := Registries[registry]; !ok {
		return fmt.Errorf("registry: %.20q, must be is, js, ns or as", registry)
	}
	if len(paths) > maxPaths {
		return fmt.Errorf("paths: %d, at most %d", len(paths), maxPaths)
	}
	for _, p := range paths {
		if p == "" || strings.Contains("."+p+".", "..") || strings.Count(p, ".") >= maxDepth {
			return fmt.Errorf("paths: %.80q is none", p)
		}
	}
	return nil
}

// Draft is a device that cannot be registered yet.
type Draft struct {
	Tree  Tree
	In    map[string]bool // the registries that have it
	begun time.Time
}

// Has reports whether a registry has the device; nil is one that is registered.
func (d *Draft) Has(registry string) bool { return d == nil || d.In[registry] }

// Limits of the drafts.
const (
	maxDrafts = 64
	draftLife = time.Hour
	maxDraft  = 64 << 10 // bytes of its JSON
)

// Reasons for refusing a draft.
var (
	ErrTooMany = fmt.Errorf("at most %d devices can be under way at a time", maxDrafts)
	ErrTooLong = fmt.Errorf("a device that is not complete may have at most %d bytes", maxDraft)
	ErrTaken   = errors.New("the device exists already")
)

// Drafts are the devices under way. It may be used by several goroutines.
type Drafts struct {
	mu   sync.Mutex
	byID map[session.ID]*Draft
}

// Draft returns a copy of a draft, or nil.
func (d *Drafts) Draft(id session.ID, now time.Time) *Draft {
	d.mu.Lock()
	defer d.mu.Unlock()
	found := d.byID[id]
	if found == nil || now.Sub(found.begun) > draftLife {
		return nil
	}
	return &Draft{Tree: clone(found.Tree), In: maps.Clone(found.In), begun: found.begun}
}

// ByEUIs returns the draft with these EUIs, in capitals.
func (d *Drafts) ByEUIs(joinEUI, devEUI string, now time.Time) (session.ID, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, draft := range d.byID {
		ids := object(draft.Tree, "ids")
		if now.Sub(draft.begun) <= draftLife && ids["dev_eui"] == devEUI && ids["join_eui"] == joinEUI {
			return id, true
		}
	}
	return session.ID{}, false
}

// Put keeps a draft.
func (d *Drafts) Put(id session.ID, draft *Draft, now time.Time) error {
	if raw, err := json.Marshal(draft.Tree); err != nil || len(raw) > maxDraft {
		return errors.Join(err, ErrTooLong)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.byID, func(_ session.ID, old *Draft) bool { return now.Sub(old.begun) > draftLife })
	if _, again := d.byID[id]; !again && len(d.byID) >= maxDrafts && !d.makeRoom(id.Application) {
		return ErrTooMany
	}
	if d.byID == nil {
		d.byID = map[session.ID]*Draft{}
	}
	if draft.begun.IsZero() {
		draft.begun = now
	}
	d.byID[id] = draft
	return nil
}

// makeRoom forgets the oldest draft of the application that has the most. It returns false
// if that is the one that wants to have another. The caller holds the lock.
func (d *Drafts) makeRoom(application string) bool {
	counts := map[string]int{application: 1}
	for id := range d.byID {
		counts[id.Application]++
	}
	var oldest session.ID
	var first *Draft // of oldest
	for id, draft := range d.byID {
		n, most := counts[id.Application], counts[oldest.Application]
		if first == nil || n > most || n == most && draft.begun.Before(first.begun) {
			oldest, first = id, draft
		}
	}
	if counts[oldest.Application] <= counts[application] {
		return false
	}
	delete(d.byID, oldest)
	return true
}

// Remove forgets a draft.
func (d *Drafts) Remove(id session.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.byID, id)
}

func clone(t Tree) Tree {
	out := make(Tree, len(t))
	for name, v := range t {
		if o, ok := v.(map[string]any); ok {
			v = clone(o)
		}
		out[name] = v // lists are replaced, never changed
	}
	return out
}
