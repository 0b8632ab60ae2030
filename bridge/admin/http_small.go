//go:build small

package admin

import (
	"context"
	"errors"
)

// HTTP is not in the small build: net/http costs 4 MB.
type HTTP struct{}

// ListenHTTP returns an error.
func ListenHTTP(*Admin, string) (*HTTP, error) {
	return nil, errors.New("admin: the small build has no HTTP")
}

// Mount does nothing.
func (*HTTP) Mount(any) {}

// Run does nothing.
func (*HTTP) Run(context.Context) error { return nil }

// Close does nothing.
func (*HTTP) Close() error { return nil }
