package access

import (
	"sync"
	"testing"
)

func TestApplications(t *testing.T) {
	r := NewApplications()
	if _, ok := r.Application("app1"); ok || len(r.All()) != 0 {
		t.Error("an empty registry has an application")
	}
	for _, a := range []Application{
		{ID: "app2"},
		{ID: "app1", Up: Formatter{"FORMATTER_JAVASCRIPT", "x"}},
		{
			ID: "app1", Up: Formatter{"FORMATTER_JAVASCRIPT", "y"}, Down: Formatter{Kind: "FORMATTER_CAYENNELPP"},
			HomeAssistant: true,
		},
	} {
		b, err := MarshalApplication(a)
		if err != nil {
			t.Fatal(err)
		}
		again, err := UnmarshalApplication(b)
		if err != nil || again != a {
			t.Errorf("%+v came back as %+v, %v", a, again, err)
		}
		r.Put(again)
	}
	if a, ok := r.Application("app1"); !ok || a.Up.Parameter != "y" || a.Down.Kind != "FORMATTER_CAYENNELPP" {
		t.Errorf("app1 is %+v", a)
	}
	if all := r.All(); len(all) != 2 || all[0].ID != "app1" || all[1].ID != "app2" {
		t.Errorf("%+v", all)
	}
	r.Remove("app1")
	r.Remove("app1")
	if _, ok := r.Application("app1"); ok {
		t.Error("app1 is still there")
	}
	for _, bad := range []string{``, `[]`, `{"Up":1}`, `{`} {
		if a, err := UnmarshalApplication([]byte(bad)); err == nil {
			t.Errorf("%q is %+v", bad, a)
		}
	}
	// With -race: from several goroutines.
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				r.Put(Application{ID: "app3"})
				r.Application("app3")
				r.All()
				r.Remove("app3")
			}
		})
	}
	wg.Wait()
}
