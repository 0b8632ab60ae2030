package outbox

import (
	"fmt"
	"testing"

	"lorawand/bridge/v3"
)

func TestOutbox(t *testing.T) {
	o := New(3)
	for i := range 5 {
		o.Put(v3.Message{Device: fmt.Sprint(i)})
	}
	for _, want := range []string{"2", "3", "4"} {
		if m, ok := o.Take(); !ok || m.Device != want {
			t.Errorf("got %v, want %s", m, want)
		}
	}
	if _, ok := o.Take(); ok {
		t.Error("it is not empty")
	}
	if published, dropped := o.Counts(); published != 5 || dropped != 2 {
		t.Errorf("%d published, %d dropped", published, dropped)
	}
}
