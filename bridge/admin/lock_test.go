package admin

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"
)

// A change waits for another one no longer than its caller wants, and then changes nothing.
// Questions do not wait.
func TestChangesWait(t *testing.T) {
	h := newHouse(t)
	unlock, err := h.admin.lock(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	call := func(op string, args any, patience time.Duration) error {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		return h.admin.Call(ctx, op, args, func(json.RawMessage) error { return nil })
	}
	changes := []struct {
		op   string
		args any
	}{
		{"key.create", CreateKeyArgs{Application: "app1"}},
		{"key.revoke", RevokeKeyArgs{ID: "x"}},
		{"device.put", PutArgs{Application: "app1"}},
		{"device.set", SetArgs{Application: "app1", Device: "dev1"}},
		{"device.delete", DeleteArgs{Application: "app1", Devices: []string{"dev1"}}},
	}
	for _, c := range changes {
		if err := call(c.op, c.args, 20*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", c.op, err)
		}
	}
	if err := call("key.list", ListArgs{}, 10*time.Second); err != nil || h.State.Keys.Len() != 0 {
		t.Errorf("%v, %d keys", err, h.State.Keys.Len())
	}
	unlock()
	if err := call("key.create", CreateKeyArgs{Application: "app1"}, 10*time.Second); err != nil ||
		h.State.Keys.Len() != 1 {
		t.Errorf("afterwards: %v, %d keys", err, h.State.Keys.Len())
	}
}
