//go:build small

package api

import (
	"context"
	"errors"
)

// API is not in the small build: net/http costs 4 MB.
type API struct{}

// Listen returns an error.
func Listen(Options) (*API, error) { return nil, errors.New("api: the small build has no HTTP") }

// Mount does nothing.
func (*API) Mount(any) {}

// Run does nothing.
func (*API) Run(context.Context) error { return nil }

// Close does nothing.
func (*API) Close() error { return nil }
