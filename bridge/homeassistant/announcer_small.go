//go:build small

package homeassistant

import (
	"context"

	"lorawand/bridge/v3"
)

// Announcer is not in the small build, for the sake of its size.
type Announcer struct{}

// New returns an Announcer that does nothing.
func New(Options) *Announcer { return &Announcer{} }

// Publish does nothing.
func (*Announcer) Publish(v3.Message) {}

// Changed does nothing.
func (*Announcer) Changed(string) {}

// Online does nothing.
func (*Announcer) Online(string) {}

// Retained returns nothing.
func (*Announcer) Retained(string) []v3.Message { return nil }

// Announces returns false.
func (*Announcer) Announces(string, string) bool { return false }

// Run waits until ctx ends.
func (*Announcer) Run(ctx context.Context) error { <-ctx.Done(); return nil }
