//go:build small

package webhook

import "context"

// Sender is not in the small build: net/http costs 4 MB.
type Sender struct{}

// New returns a Sender that does nothing.
func New(Options) *Sender { return &Sender{} }

// Publish does nothing.
func (*Sender) Publish(Message) {}

// Run waits until ctx ends.
func (*Sender) Run(ctx context.Context) error { <-ctx.Done(); return nil }
