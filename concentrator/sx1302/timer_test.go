package sx1302

import (
	"testing"
	"time"
)

func TestTimers(t *testing.T) {
	kernel, err := NewKernelTimer()
	if err != nil {
		t.Fatal(err)
	}
	for name, timer := range map[string]Timer{"kernel": kernel, "runtime": newRuntimeTimer()} {
		t.Run(name, func(t *testing.T) {
			for _, d := range []time.Duration{-time.Second, 0, time.Microsecond, 5 * time.Millisecond, 20 * time.Millisecond} {
				began := time.Now()
				timer.Reset(d)
				select {
				case <-timer.Expired():
				case <-time.After(10 * time.Second):
					t.Fatalf("did not expire after %v", d)
				}
				if took := time.Since(began); took < d {
					t.Errorf("expired after %v, want %v", took, d)
				}
			}
			timer.Reset(time.Hour)
			timer.Reset(time.Millisecond)
			<-timer.Expired()
			select {
			case <-timer.Expired():
				t.Error("expired twice")
			case <-time.After(20 * time.Millisecond):
			}
			timer.Reset(30 * time.Millisecond)
			timer.Stop()
			select {
			case <-timer.Expired():
				t.Error("expired after Stop")
			case <-time.After(60 * time.Millisecond):
			}
		})
	}
}
