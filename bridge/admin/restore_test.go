package admin

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"lorawand/bridge/state"
	"lorawand/bridge/store"
)

// restores lets the house put backups into its store. What works goes on with what it has
// loaded; loaded returns what a start would find.
func (h *house) restores() {
	h.admin.o.Load = func(b *store.Backup) error {
		_, err := state.Load(b, 0, "ttn")
		return err
	}
	h.admin.o.Restore = func(_ context.Context, b *store.Backup) (did state.Restored, err error) {
		err = h.Store.Restore(func(old *store.Found) (records []store.Record, settled bool, err error) {
			records, did, err = state.Merge(b, old)
			return records, true, err
		})
		return did, err
	}
}

func (h *house) loaded() (devices, keys []string) {
	h.Helper()
	s, err := state.Load(h.Store, 0, "ttn")
	if err != nil {
		h.Fatal(err)
	}
	for _, d := range s.Devices.All() {
		devices = append(devices, d.ID.Device)
	}
	for _, k := range s.Keys.Keys("") {
		keys = append(keys, k.ID)
	}
	slices.Sort(devices)
	return devices, keys
}

func restoring(text []byte) string {
	return `{"text":"` + base64.StdEncoding.EncodeToString(text) + `"}`
}

// After a restore there is what was there at the backup: what has gone since then is back,
// and what has come is gone.
func TestRestoreBringsBack(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change []step
	}{
		{"nothing has changed", nil},
		{"a device has gone", []step{{op: "device.delete", args: `{"application_id":"app1","devices":["dev1"]}`}}},
		{"all has gone", []step{{op: "application.delete", args: `{"application_id":"app1","all":true}`, parts: 1}}},
		{"more has come", []step{
			{op: "device.put", args: put("app2", device("dev7", 7, "")), parts: 1},
			{op: "key.create", args: `{"application_id":"app2"}`, parts: 1},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			h.listen()
			h.restores()
			id, _ := h.newKey("app1", "first")
			h.steps([]step{{op: "device.put", args: put("app1", goodDevice, joining)}})
			backup, _ := h.backup()
			h.steps(tt.change)
			h.steps([]step{{op: "restore", args: restoring(backup), parts: 1, with: []string{`"devices":2`, `"damaged":false`}}})
			devices, keys := h.loaded()
			if !slices.Equal(devices, []string{"dev1", "dev2"}) || !slices.Equal(keys, []string{id}) {
				t.Errorf("devices %v, keys %v, want dev1, dev2 and %s", devices, keys, id)
			}
		})
	}
}

// A backup that cannot be read, used or stored leaves the store as it is.
func TestRestoreRefused(t *testing.T) {
	h := newHouse(t)
	h.listen()
	h.restores()
	h.steps([]step{{op: "device.put", args: put("app1", goodDevice), parts: 1}})
	backup, _ := h.backup()
	h.steps([]step{{op: "device.put", args: put("app1", joining)}})
	lines := bytes.SplitAfter(backup, []byte("\n"))
	joined := func(parts ...[][]byte) string { return restoring(bytes.Join(slices.Concat(parts...), nil)) }
	last := len(lines) - 2 // behind its end is nothing
	for _, tt := range []struct {
		name, args, want string
		disk             error
	}{
		{name: "no text", args: `{}`, want: "backup"},
		{name: "null", args: `{"text":null}`, want: "backup"},
		{name: "not base64", args: `{"text":"%%%"}`, want: "arguments: "},
		{name: "a list of bytes", args: `{"text":[1,2]}`, want: "backup"},
		{name: "zeros", args: restoring(make([]byte, 100_000)), want: "backup"},
		{name: "one long line", args: restoring(bytes.Repeat([]byte("x"), 400_000)), want: "backup"},
		{name: "JSON", args: restoring([]byte(`{"devices":[]}`)), want: "backup"},
		{name: "without its end", args: joined(lines[:last]), want: "backup"},
		{name: "without its begin", args: joined(lines[1:]), want: "backup"},
		{name: "without a record", args: joined(lines[:1], lines[2:]), want: "backup"},
		{name: "a record twice", args: joined(lines[:2], lines[1:]), want: "backup"},
		{name: "twice", args: joined(lines, lines), want: "backup"},
		{
			name: "a byte is another", args: restoring(bytes.Replace(backup, []byte("dev1"), []byte("dev2"), 1)),
			want: "backup",
		},
		{name: "the disk is full", args: restoring(backup), want: "no space left", disk: syscall.ENOSPC},
		{name: "the disk is broken", args: restoring(backup), want: "input/output error", disk: syscall.EIO},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.disk != nil {
				h.Disk.Fail(func(string, string) error { return tt.disk })
			}
			parts, err := h.ask("restore", tt.args)
			h.Disk.Fail(nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) || len(parts) > 0 || len(err.Error()) > 500 {
				t.Errorf("%q, %.600v, want %q", parts, err, tt.want)
			}
			if devices, _ := h.loaded(); !slices.Equal(devices, []string{"dev1", "dev2"}) {
				t.Errorf("the store has %v", devices)
			}
		})
	}
}

// A stream that breaks off restores nothing, and its own error is told.
func TestRestoreFromStream(t *testing.T) {
	h := newHouse(t)
	h.listen()
	h.restores()
	h.steps([]step{{op: "device.put", args: put("app1", goodDevice), parts: 1}})
	backup, _ := h.backup()
	h.steps([]step{{op: "device.delete", args: `{"application_id":"app1","devices":["dev1"]}`}})
	broken := errors.New("the line is broken")
	half := io.MultiReader(bytes.NewReader(backup[:len(backup)/2]), iotest.ErrReader(broken))
	if _, err := h.admin.RestoreFrom(t.Context(), half); !errors.Is(err, broken) {
		t.Errorf("%v, want %v", err, broken)
	}
	if devices, _ := h.loaded(); len(devices) != 0 {
		t.Errorf("half of it: the store has %v", devices)
	}
	did, err := h.admin.RestoreFrom(t.Context(), iotest.OneByteReader(bytes.NewReader(backup)))
	if err != nil || did.Devices != 1 {
		t.Errorf("%+v, %v", did, err)
	}
	if devices, _ := h.loaded(); !slices.Equal(devices, []string{"dev1"}) {
		t.Errorf("all of it: the store has %v", devices)
	}
}

// Parts of a backup are no longer than they are said to be, also those of a long record, and
// one that is not taken is the last.
func TestBackupParts(t *testing.T) {
	h := newHouse(t)
	noise := bytes.Repeat([]byte("0123456789abcdef"), backupPart/4)
	if err := h.Store.Commit(store.Record{Kind: "x", Key: "big", Data: noise}); err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	for take := range 4 {
		parts := 0
		err := h.admin.Call(t.Context(), "backup", nil, func(raw json.RawMessage) error {
			var p BackupPart
			if err := json.Unmarshal(raw, &p); err != nil || len(p.Text) == 0 || len(p.Text) > backupPart {
				t.Errorf("part %d: %d bytes, %v", parts, len(p.Text), err)
			}
			if parts == take {
				return enough
			}
			parts++
			return nil
		})
		if !errors.Is(err, enough) || parts != take {
			t.Errorf("%v after %d parts, want %d", err, parts, take)
		}
	}
}
