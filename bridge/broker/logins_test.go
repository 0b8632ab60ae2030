package broker

import (
	"testing"

	"lorawand/bridge/access"
)

// A login is told of with who and from where; one that comes again at once is not.
func TestLoginsTold(t *testing.T) {
	told := make(chan [3]string, 10)
	s := startWith(t, func(o *Options) {
		o.LoggedIn = func(l access.Login, client, address string) { told <- [3]string{l.Application, client, address} }
	})
	s.login("one").Close()
	s.login("one").Close()
	s.loginAs(5, "two", "app1@ttn", s.key1)
	s.loginAs(4, "one", "app2", s.key2)
	for _, want := range [][2]string{{"app1", "one"}, {"app1", "two"}, {"app2", "one"}} {
		if got := <-told; got[0] != want[0] || got[1] != want[1] || got[2] == "" {
			t.Errorf("told of %q, want %q", got, want)
		}
	}
	if len(told) != 0 {
		t.Errorf("one too many: %q", <-told)
	}
}
