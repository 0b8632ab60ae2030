package client

import (
	"errors"
	"testing"
)

// Which version of MQTT is tried next: 5 as long as nothing speaks against it.
func TestVersions(t *testing.T) {
	type try struct {
		with     byte
		loggedIn bool
		err      error
		atOnce   bool
	}
	other := errors.New("no route to host")
	for _, tt := range []struct {
		name       string
		configured byte
		tries      []try
	}{
		{"5", 0, []try{{5, true, other, false}, {5, false, ErrClosed, false}, {5, true, other, false}}},
		{"says that it has 3.1.1", 0, []try{
			{5, false, ErrVersion, true},
			{4, true, other, false},
			{4, false, ErrClosed, false},
			{4, true, other, false},
		}},
		{"ends the connection", 0, []try{
			{5, false, ErrClosed, true},
			{4, true, other, false},
			{5, false, ErrClosed, true},
			{4, true, other, false},
		}},
		{"bad network", 0, []try{
			{5, false, ErrSilent, false},
			{5, false, ErrClosed, true},
			{4, false, ErrClosed, false},
			{5, true, other, false},
			{5, false, ErrClosed, false},
			{5, true, other, false},
		}},
		{"neither", 0, []try{
			{5, false, ErrVersion, true}, {4, false, ErrVersion, false}, {5, false, ErrVersion, false},
		}},
		{"configured", 4, []try{
			{4, false, ErrVersion, false}, {4, false, ErrClosed, false}, {4, true, other, false},
		}},
	} {
		v := NewVersions(tt.configured)
		for i, try := range tt.tries {
			if v.Next != try.with {
				t.Fatalf("%s: try %d with %d, want %d", tt.name, i, v.Next, try.with)
			}
			if got := v.After(try.loggedIn, try.err); got != try.atOnce {
				t.Errorf("%s: try %d, the next at once: %v", tt.name, i, got)
			}
		}
	}
}
