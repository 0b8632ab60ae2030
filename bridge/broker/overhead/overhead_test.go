package overhead

import (
	"errors"
	"net"
	"testing"
)

// source is a connection that brings as many bytes as are asked for.
type source struct{ net.Conn }

func (source) Read(p []byte) (int, error) { return len(p), nil }

// What is not given out is told of, less what may be on its way through the layer.
func TestTold(t *testing.T) {
	for _, tt := range []struct {
		name                 string
		ahead, read, givenOf int // of each 100 bytes that are read so many are given out
		want                 int
	}{
		{"all is given out", 0, 100, 100, 0},
		{"a tenth is not", 0, 100, 90, 99},
		{"nothing is", 0, 100, 0, 990},
		{"as much as the layer may hold", 1000, 100, 90, 0},
		{"more than that", 500, 100, 90, 49},
		{"a handshake before", 0, 0, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := 0
			c := New(source{}, 10, tt.ahead, func(n int) error { got += n; return nil })
			_, _ = c.Read(make([]byte, 5000))
			c.Begin()
			for range 100 {
				_, _ = c.Read(make([]byte, tt.read))
				c.GaveOut(tt.givenOf)
			}
			if got != tt.want {
				t.Errorf("told of %d times, want %d", got, tt.want)
			}
		})
	}
}

func TestToldEnds(t *testing.T) {
	enough := errors.New("enough")
	c := New(source{}, 10, 0, func(int) error { return enough })
	if _, err := c.Read(make([]byte, 10)); err != nil {
		t.Error(err)
	}
	if n, err := c.Read(make([]byte, 10)); n != 0 || !errors.Is(err, enough) {
		t.Errorf("%d, %v", n, err)
	}
}
