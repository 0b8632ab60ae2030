package backfill

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// The answer to a post that is lost: it is posted again, and both have the same id.
func TestAnswerLost(t *testing.T) {
	inTime(t, func(s *stand) {
		first := true
		s.far.trouble = func(r *http.Request) trouble {
			lost := r.Method == http.MethodPost && first
			first = first && !lost
			return trouble{lost: lost}
		}
		s.start()
		s.outage(3, time.Minute)
		s.far.cut(false)
		s.wait(10 * time.Minute)
		s.check(1)
		posts := s.far.posts()
		if len(posts) != 4 || posts[0].fCnt != 0 || posts[1].fCnt != 0 || !slices.Equal(posts[0].ids, posts[1].ids) ||
			s.Status().Unanswered != 1 {
			s.Errorf("%+v, %+v", posts, s.Status())
		}
	})
}

// answering is a server that gives one answer.
func answering(status int, content string) trouble { return trouble{status: status, content: content} }

// What stands in the way of all messages blocks them and loses none; what is the fault of one message does
// not block those behind it.
func TestAnswers(t *testing.T) {
	for _, tt := range []struct {
		name                       string
		method                     string
		trouble                    trouble
		refused, elsewhere, posted uint64
		why                        string
	}{
		{name: "wrong key", method: "GET", trouble: answering(401, wrongKey), why: "invalid authorization"},
		{name: "no rights to look", method: "GET", trouble: answering(403, noRights), why: "insufficient rights"},
		{name: "no rights to post", method: "POST", trouble: answering(403, noRights), why: "insufficient rights"},
		{name: "another server", method: "GET", trouble: answering(404, noSuchPath), why: "404 Not Found"},
		{name: "a page", method: "GET", trouble: answering(200, "<html>log in</html>"), why: "not as The Things Stack"},
		{name: "a page for posts", method: "POST", trouble: answering(200, "<html>"), why: "not as The Things Stack"},
		{name: "a redirection", method: "GET", trouble: answering(302, emptyBody), why: "302 Found"},
		{name: "no method", method: "POST", trouble: answering(501, emptyBody), why: "501"},
		{name: "a long answer", method: "GET", trouble: answering(200, strings.Repeat("x", 70_000)), why: "too long"},
		{name: "not valid", method: "POST", trouble: answering(400, notValid), refused: 3},
		{name: "too large", method: "POST", trouble: answering(413, emptyBody), refused: 3},
		{name: "no such device", method: "GET", trouble: answering(404, notFound), elsewhere: 3},
		{name: "gone meanwhile", method: "POST", trouble: answering(404, notFound), elsewhere: 3},
		{name: "good", posted: 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inTime(t, func(s *stand) {
				s.far.trouble = func(r *http.Request) trouble {
					if r.Method == tt.method {
						return tt.trouble
					}
					return trouble{}
				}
				s.start()
				s.outage(3, 30*time.Second)
				s.far.cut(false)
				s.wait(20 * time.Minute)
				st := s.Status()
				left := int64(3 - tt.refused - tt.elsewhere - tt.posted)
				if st.Refused != tt.refused || st.Elsewhere != tt.elsewhere || st.Posted != tt.posted ||
					st.Journal.Messages != left || !strings.Contains(st.Error, tt.why) || (tt.why == "") != (st.Error == "") {
					s.Errorf("%+v, want %q", st, tt.why)
				}
				s.far.set(func() { s.far.trouble = nil })
				s.wait(time.Hour)
				if got := int64(len(s.far.posts())); got != left+int64(tt.posted) {
					s.Errorf("%d arrive later", got)
				}
			})
		})
	}
}

// The server is asked again when it wants to be, but not in more than ten minutes; else after the first pause.
func TestAskedForPause(t *testing.T) {
	first := []time.Duration{750 * time.Millisecond, 1250 * time.Millisecond}
	for _, tt := range []struct {
		name, header string
		pause        []time.Duration // one, or the bounds of it
	}{
		{"nothing", "", first},
		{"as HTTP has it", "Retry-After: 20\r\n", []time.Duration{20 * time.Second}},
		{"as The Things Stack has it", "X-Rate-Limit-Retry: 7\r\n", []time.Duration{7 * time.Second}},
		{"both", "X-Rate-Limit-Retry: 7\r\nRetry-After: 20\r\n", []time.Duration{20 * time.Second}},
		{
			"a date and a number", "Retry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\nX-Rate-Limit-Retry: 7\r\n",
			[]time.Duration{7 * time.Second},
		},
		{"sooner", "X-Rate-Limit-Retry: 0\r\n", first},
		{"before", "X-Rate-Limit-Retry: -5\r\n", first},
		{"tomorrow", "X-Rate-Limit-Retry: 86400\r\n", []time.Duration{10 * time.Minute}},
		{"never", "X-Rate-Limit-Retry: 99999999999\r\n", first},
	} {
		for _, status := range []int{429, 503} {
			inTime(t, func(s *stand) {
				var posts []time.Time
				var back time.Time
				s.far.trouble = func(r *http.Request) (is trouble) {
					if time.Since(back) < time.Minute { // so that it is known that the server answers again
						return trouble{status: status, content: emptyBody}
					}
					if r.Method != http.MethodPost {
						return is
					}
					if posts = append(posts, time.Now()); len(posts) == 2 { // behind one that succeeds
						is = trouble{status: status, content: emptyBody, header: tt.header}
					}
					return is
				}
				s.start()
				s.outage(2, time.Second)
				s.far.set(func() { back = time.Now() })
				s.far.cut(false)
				s.wait(time.Hour)
				s.check(0)
				low, high := tt.pause[0], tt.pause[len(tt.pause)-1]
				high += time.Second / 5 // it is asked for the device again
				if len(posts) != 3 || posts[2].Sub(posts[1]) < low || posts[2].Sub(posts[1]) > high {
					s.Errorf("%d, %s: %v, want a pause of %v", status, tt.name, posts, tt.pause)
				}
			})
		}
	}
}

// A server that hears the frames again is asked again at once, unless it has asked for a pause.
func TestPauseEnds(t *testing.T) {
	for header, want := range map[string]time.Duration{"": 0, "X-Rate-Limit-Retry: 300\r\n": 5 * time.Minute} {
		inTime(t, func(s *stand) {
			var tries []time.Time
			s.far.trouble = func(*http.Request) trouble {
				tries = append(tries, time.Now())
				return trouble{status: 503, content: emptyBody, header: header}
			}
			s.start()
			s.far.set(func() { s.far.mute = true })
			s.up()
			var last time.Time
			for last.IsZero() {
				s.wait(time.Second)
				s.far.set(func() {
					if len(tries) == 6 { // then comes a pause of half a minute, or the server's
						last, s.far.mute = tries[5], false
					}
				})
			}
			s.wait(10 * time.Second) // PULL_DATA
			after := time.Since(last)
			s.wait(10 * time.Minute)
			s.far.set(func() {
				if got := tries[6].Sub(last); want == 0 && got > after || got < want {
					s.Errorf("with %q it is asked again after %v", header, got)
				}
			})
		})
	}
}

// A device of the same name with another DevEUI is another device, and what the server does not have is
// asked for once in a while only.
func TestElsewhere(t *testing.T) {
	for _, devices := range []map[string]string{{}, {"app1/dev1": "0102030405060708"}} {
		inTime(t, func(s *stand) {
			s.far.devices = devices
			s.start()
			s.outage(50, 10*time.Second)
			s.far.cut(false)
			s.wait(10 * time.Minute)
			if st := s.Status(); len(s.far.posts()) > 0 || s.far.gets > 2 || st.Elsewhere < 49 || st.Journal.Messages != 0 {
				s.Errorf("%d are posted, %d questions, %+v", len(s.far.posts()), s.far.gets, st)
			}
		})
	}
}
