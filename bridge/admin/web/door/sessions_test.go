package door

import (
	"testing"
	"time"

	"lorawand/bridge/access"
)

// Sessions have a limit and an end.
func TestSessions(t *testing.T) {
	var all Sessions
	now := time.Unix(1000, 0)
	first := all.Begin(access.Login{}, "a", now)
	if all.Find(first, now) == nil || all.Find("", now) != nil {
		t.Fatal("it is not found")
	}
	for i := range maxSessions {
		all.Begin(access.Login{}, "b", now.Add(time.Duration(i+1)))
	}
	if all.Len() != maxSessions || all.Find(first, now) != nil {
		t.Errorf("%d sessions", all.Len())
	}
	last := all.Begin(access.Login{}, "c", now.Add(time.Hour))
	one := all.Find(last, now.Add(2*time.Hour))
	for range 4 {
		if !all.OpenStream(one, 4) {
			t.Fatal("no stream")
		}
	}
	if all.OpenStream(one, 4) {
		t.Error("one stream too many")
	}
	if all.Find(last, now.Add(500*time.Hour)) == nil || all.Len() != 1 {
		t.Error("it ends while a stream is open, or others do not")
	}
	for range 4 {
		all.CloseStream(one, now.Add(500*time.Hour))
	}
	if all.Find(last, now.Add(500*time.Hour+maxIdle)) == nil {
		t.Error("it ends too early")
	}
	if all.Find(last, now.Add(501*time.Hour+2*maxIdle)) != nil || all.Len() != 0 {
		t.Error("it does not end")
	}
	select {
	case <-one.Ended:
	default:
		t.Error("nobody is told that it has ended")
	}
}

// A session ends after 30 days, however much it is used.
func TestSessionAge(t *testing.T) {
	var all Sessions
	begin := time.Unix(1000, 0)
	token := all.Begin(access.Login{}, "a", begin)
	for now := begin; now.Sub(begin) <= maxAge; now = now.Add(time.Hour) {
		if all.Find(token, now) == nil {
			t.Fatalf("it ends after %v", now.Sub(begin))
		}
	}
	one := all.Find(token, begin.Add(maxAge))
	if !all.OpenStream(one, 1) {
		t.Fatal("no stream")
	}
	all.Expire(begin.Add(maxAge + 1))
	select {
	case <-one.Ended:
	default:
		t.Error("it does not end while a stream is open")
	}
}
