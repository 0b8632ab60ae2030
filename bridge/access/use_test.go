package access

import (
	"testing"
	"time"
)

func TestUse(t *testing.T) {
	r := NewRegistry("ttn")
	_, k := newKey(t, "app1")
	if err := r.Add(k); err != nil {
		t.Fatal(err)
	}
	if _, ok := r.Used(k.ID); ok {
		t.Error("a key that was never used has a last use")
	}
	noon := time.Date(2038, 1, 20, 12, 0, 0, 0, time.UTC) // behind 2^31 s
	for _, tt := range []struct {
		name string
		id   string
		now  time.Time
		news bool
		want string // the last use afterwards
	}{
		{"no calendar", k.ID, time.Time{}, false, ""},
		{"the first time", k.ID, noon, true, "2038-01-20"},
		{"once more on that day", k.ID, noon.Add(12*time.Hour - 1), false, "2038-01-20"},
		{"the next day", k.ID, noon.Add(12 * time.Hour), true, "2038-01-21"},
		{"no calendar any more", k.ID, time.Time{}, false, "2038-01-21"},
		{"a calendar that was put right", k.ID, noon.AddDate(-10, 0, 0), true, "2028-01-20"},
		{"no such key", "x", noon, false, "2028-01-20"},
	} {
		_, news := r.Use(tt.id, tt.now)
		day, known := r.Used(k.ID)
		if news != tt.news || known != (tt.want != "") || known && day.String() != tt.want {
			t.Errorf("%s: news %v, last use %v (%v)", tt.name, news, day, known)
		}
	}
	r.Remove(k.ID)
	r.SetUsed(k.ID, 1)
	if _, ok := r.Used(k.ID); ok || len(r.used) != 0 {
		t.Error("a key that is gone has a last use")
	}
}
