package webhook

import (
	"log/slog"

	"lorawand/bridge/access"
	"lorawand/bridge/v3"
)

// Message is what is posted.
type Message = v3.Message

// Options configures a Sender.
type Options struct {
	Hook    func(application string) access.Webhook // zero: none
	Version string                                  // of this program, for the receiver
	Logger  *slog.Logger                            // default slog.Default()
}
