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
	var streams []*Stream
	for range PerSession {
		s := all.OpenStream(one)
		if s == nil {
			t.Fatal("no stream")
		}
		streams = append(streams, s)
	}
	if all.OpenStream(one) != nil {
		t.Error("one stream too many")
	}
	if all.Find(last, now.Add(500*time.Hour)) == nil || all.Len() != 1 {
		t.Error("it ends while a stream is open, or others do not")
	}
	for _, s := range streams {
		all.CloseStream(s, now.Add(500*time.Hour))
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

// However often an application logs in, the sessions of the owner and of other applications
// stay, though they were used less lately.
func TestSessionsAreShared(t *testing.T) {
	var all Sessions
	now := time.Unix(1000, 0)
	begin := func(application string) string {
		now = now.Add(time.Second)
		return all.Begin(access.Login{Application: application, KeyID: application}, "a", now)
	}
	owner, app1 := begin(""), begin("app1")
	var app2 []string
	for range 3 * maxSessions {
		app2 = append(app2, begin("app2"))
	}
	if all.Find(owner, now) == nil || all.Find(app1, now) == nil || all.Len() != maxSessions {
		t.Errorf("the owner or app1 is logged out; %d sessions", all.Len())
	}
	if all.Find(app2[len(app2)-1], now) == nil || all.Find(app2[0], now) != nil {
		t.Error("app2 has not lost its oldest")
	}
	for range maxSessions / 2 {
		begin("app3")
	}
	if all.Find(owner, now) == nil || all.Find(app1, now) == nil || all.Find(app2[len(app2)-1], now) == nil {
		t.Error("a quiet one is logged out")
	}
}

// However many sessions an application has, another one gets a stream.
func TestStreamsAreSharedByApplications(t *testing.T) {
	var all Sessions
	now := time.Unix(1000, 0)
	browser := func(application string) *Browser {
		return all.Find(all.Begin(access.Login{Application: application, KeyID: application}, "a", now), now)
	}
	open := func(b *Browser) bool { return all.OpenStream(b) != nil }
	for range MaxStreams {
		if !open(browser("app2")) {
			t.Fatal("app2 gets none")
		}
	}
	owner, app1 := browser(""), browser("app1")
	for range MaxStreams / 4 {
		if !open(owner) || !open(app1) {
			t.Error("the owner or app1 gets none")
		}
	}
	if open(browser("app2")) || len(all.streams) != MaxStreams || owner.streams != 2 || app1.streams != 2 {
		t.Errorf("%d and %d streams are left", owner.streams, app1.streams)
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
	if all.OpenStream(one) == nil {
		t.Fatal("no stream")
	}
	all.Expire(begin.Add(maxAge + 1))
	select {
	case <-one.Ended:
	default:
		t.Error("it does not end while a stream is open")
	}
}

// However many streams a few sessions have opened, another session gets one, and never at
// the cost of one that has as few.
func TestStreamsAreShared(t *testing.T) {
	var all Sessions
	now := time.Unix(1000, 0)
	var browsers []*Browser
	for range MaxStreams {
		browsers = append(browsers, all.Find(all.Begin(access.Login{}, "a", now), now))
	}
	var open []*Stream
	for _, b := range browsers[:MaxStreams/PerSession] {
		for range PerSession {
			open = append(open, all.OpenStream(b))
		}
	}
	for i, b := range browsers[MaxStreams/PerSession:] {
		s := all.OpenStream(b)
		if s == nil {
			t.Fatalf("session %d gets none", i)
		}
		open = append(open, s)
	}
	left := map[*Browser]int{}
	for _, s := range open {
		select {
		case <-s.Gone:
		default:
			left[s.of]++
		}
	}
	for i, b := range browsers {
		if left[b] != 1 || b.streams != 1 {
			t.Errorf("session %d has %d streams, %d are counted", i, left[b], b.streams)
		}
		if all.OpenStream(b) != nil {
			t.Errorf("session %d takes a second one from another", i)
		}
	}
	if all.OpenStream(all.Find(all.Begin(access.Login{}, "a", now), now)) != nil {
		t.Error("there are more than all")
	}
	for _, s := range open {
		all.CloseStream(s, now)
		all.CloseStream(s, now) // nothing is counted twice
	}
	if len(all.streams) != 0 || browsers[0].streams != 0 || all.OpenStream(browsers[0]) == nil {
		t.Errorf("%d streams are left", len(all.streams))
	}
}
