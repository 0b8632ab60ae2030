//go:build small || !(amd64 || arm64 || arm.7)

package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"lorawand/bridge/admin"
	"lorawand/cmd/lorawand/config"
)

// The state of these builds is in files: there is no NATS JetStream, and no second machine.
const hasNATS = false

var errNoNATS = errors.New("this build has no NATS JetStream")

type lead struct{}

func (lead) store() stateStore { return nil }

func (lead) left() func() time.Duration { return nil }

func (lead) addTo(*admin.Admin) {}

func (lead) run(ctx context.Context) error { <-ctx.Done(); return nil }

func (lead) isLost(error) bool { return false }

func openNATS(context.Context, *config.Config, *slog.Logger) (stateStore, error) {
	return nil, errNoNATS
}

func (*lead) standBy(context.Context, *config.Config, *slog.Logger) error { return errNoNATS }

func (l lead) after(bool) lead { return l }

func readNATS(context.Context, *config.Config) (backer, error) { return nil, errNoNATS }

type leadStatus struct{}

func askLead(context.Context, config.Config) (*leadStatus, error) { return nil, nil }

func (*leadStatus) standsBy() bool { return false }

func (*leadStatus) print(io.Writer) {}

func (*leadStatus) alone(io.Writer, bool) error { return nil }

func (*doctor) nats(*config.Config) {}
