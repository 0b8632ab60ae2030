package admin

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"lorawand/bridge/state"
	"lorawand/bridge/store"
)

// backup returns the text of a backup, and in how many parts it came.
func (h *house) backup() (text []byte, parts int) {
	h.Helper()
	all, err := h.call("backup", struct{}{})
	if err != nil {
		h.Fatal(err)
	}
	for _, raw := range all {
		var p BackupPart
		if err := json.Unmarshal([]byte(raw), &p); err != nil {
			h.Fatal(err)
		}
		text = append(text, p.Text...)
	}
	return text, len(all)
}

// A backup comes in parts that make one text, with all that is in the store.
func TestBackup(t *testing.T) {
	h := newHouse(t)
	h.listen()
	big := bytes.Repeat([]byte{0x5a}, 2*backupPart)
	if err := h.Store.Commit(store.Record{Kind: "x", Key: "big", Data: big}); err != nil {
		t.Fatal(err)
	}
	h.steps([]step{{name: "a device", op: "device.put", args: `{"application_id":"app1","devices":[` + goodDevice + `]}`, parts: 1}})
	text, parts := h.backup()
	if parts < 3 {
		t.Errorf("%d bytes in %d parts", len(text), parts)
	}
	b, err := store.ReadBackup(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	var found, device bool
	for _, r := range b.All() {
		found = found || r.Kind == "x" && bytes.Equal(r.Data, big)
		device = device || strings.Contains(r.Key, "dev1")
	}
	if !found || !device {
		t.Errorf("the large record: %t, the device: %t", found, device)
	}
}

// A restore ends as its case says, and only a backup that can be read and used reaches the
// store.
func TestRestoreOperation(t *testing.T) {
	h := newHouse(t)
	h.listen()
	good, _ := h.backup()
	cut, changed := good[:len(good)/2], bytes.Replace(good, []byte("\n"), []byte("x\n"), 1)
	refused, failed := errors.New("of a newer version"), errors.New("the disk is full")
	for _, tt := range []struct {
		name          string
		text          []byte
		load, restore error
		none          bool // nothing can be restored
		want          string
		restored      bool // Restore was called
	}{
		{name: "good", text: good, restored: true},
		{name: "none here", text: good, none: true, want: errNoRestore.Error()},
		{name: "empty", text: nil, want: "backup"},
		{name: "not a backup", text: []byte("hello\n"), want: "backup"},
		{name: "half of it", text: cut, want: "backup"},
		{name: "changed", text: changed, want: "backup"},
		{name: "that this version cannot use", text: good, load: refused, want: refused.Error()},
		{name: "that cannot be stored", text: good, restore: failed, want: failed.Error(), restored: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			called := false
			h.admin.o.Load = func(*store.Backup) error { return tt.load }
			h.admin.o.Restore = func(context.Context, *store.Backup) (state.Restored, error) {
				called = true
				return state.Restored{}, tt.restore
			}
			if tt.none {
				h.admin.o.Load, h.admin.o.Restore = nil, nil
			}
			parts, err := h.call("restore", json.RawMessage(`{"text":"`+base64.StdEncoding.EncodeToString(tt.text)+`"}`))
			if tt.want == "" && (err != nil || len(parts) != 1) {
				t.Errorf("%q, %v", parts, err)
			}
			if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if called != tt.restored {
				t.Errorf("Restore called: %t", called)
			}
		})
	}
}
