package web

import (
	"log/slog"
	"time"

	"lorawand/bridge"
	"lorawand/bridge/access"
	"lorawand/bridge/admin"
)

// Options configures a Site.
type Options struct {
	Admin     *admin.Admin // carries out the operations
	Bridge    *bridge.Bridge
	Keys      *access.Registry
	Passwords *Passwords
	Calendar  func() time.Time                   // zero: not known
	Used      func(keyID string, day access.Day) // is told when a key is used on another day; nil: nobody is
	Logger    *slog.Logger                       // default slog.Default()
}
