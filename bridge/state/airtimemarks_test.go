package state

import (
	"maps"
	"testing"
	"time"

	"lorawand/bridge/store"
	"lorawand/radio"
)

// markStep is a call of AirtimeMarks, with the airtime spent until then and the
// marks that the store must have after it.
type markStep struct {
	at    time.Duration
	do    string // raise, lower, settle
	spent Spent
	want  Spent // in the store afterwards
	write bool
}

func TestAirtimeMarks(t *testing.T) {
	const (
		sub1, sub2 = radio.Frequency(868_000_000), radio.Frequency(869_400_000)
		s          = time.Second
	)
	tests := []struct {
		name   string
		stored Spent
		steps  []markStep
	}{
		{"raised above what is spent", nil, []markStep{
			{0, "raise", Spent{sub1: s}, Spent{sub1: 3 * s / 2}, true},
		}},
		{"one write covers several downlinks", nil, []markStep{
			{0, "raise", Spent{sub1: s}, Spent{sub1: 3 * s / 2}, true},
			{0, "raise", Spent{sub1: 3 * s / 2}, Spent{sub1: 3 * s / 2}, false},
			{0, "raise", Spent{sub1: 3*s/2 + 1}, Spent{sub1: 2*s + time.Nanosecond}, true},
		}},
		{"each sub-band has its own", Spent{sub1: 9 * s}, []markStep{
			{0, "raise", Spent{sub1: s, sub2: s}, Spent{sub1: 3 * s / 2, sub2: 3 * s / 2}, true},
		}},
		{"not lowered before its time", Spent{sub1: 9 * s}, []markStep{
			{0, "lower", Spent{sub1: s}, Spent{sub1: 9 * s}, false},
			{9 * time.Minute, "lower", Spent{sub1: s}, Spent{sub1: 9 * s}, false},
		}},
		{"lowered after ten minutes", Spent{sub1: 9 * s}, []markStep{
			{0, "lower", Spent{sub1: s}, Spent{sub1: 9 * s}, false},
			{10 * time.Minute, "lower", Spent{sub1: s}, Spent{sub1: 3 * s / 2}, true},
		}},
		{"not lowered for a little", Spent{sub1: 2 * s}, []markStep{
			{0, "lower", Spent{sub1: s}, Spent{sub1: 2 * s}, false},
			{10 * time.Minute, "lower", Spent{sub1: s}, Spent{sub1: 2 * s}, false},
		}},
		{"the record goes when all is an hour ago", Spent{sub1: 2 * s}, []markStep{
			{0, "lower", Spent{sub1: 0}, Spent{sub1: 2 * s}, false},
			{10 * time.Minute, "lower", Spent{sub1: 0}, nil, true},
		}},
		{"a clean stop leaves exactly what is spent", Spent{sub1: 2 * s, sub2: s}, []markStep{
			{0, "settle", Spent{sub1: s, sub2: 0}, Spent{sub1: s}, true},
		}},
		{"a clean stop long after", Spent{sub1: 2 * s}, []markStep{{0, "settle", Spent{}, nil, true}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			checkMarks(t, tt.stored, tt.steps)
		})
	}
}

// checkMarks makes the calls on a gateway's marks and compares the store with what
// each step wants.
func checkMarks(t *testing.T, initial Spent, steps []markStep) {
	t.Helper()
	gw := radio.EUI64{0xa}
	stored := map[radio.EUI64]Spent{}
	if initial != nil {
		stored[gw] = initial
	}
	m, disk := NewAirtimeMarks(stored), maps.Clone(initial)
	for i, step := range steps {
		var records []store.Record
		spent := func(radio.EUI64) Spent { return maps.Clone(step.spent) }
		switch step.do {
		case "raise":
			if r, ok := m.Raise(gw, spent(gw)); ok {
				records = []store.Record{r}
			}
		case "lower":
			records = m.Lower(radio.HostTime(time.Hour+step.at), spent)
		case "settle":
			records = m.Settle(spent)
		}
		if (len(records) > 0) != step.write {
			t.Fatalf("step %d: %d records", i, len(records))
		}
		for _, r := range records {
			if disk = nil; r.Data != nil {
				_, disk, _ = parseLedger(r)
			}
		}
		want := maps.Clone(step.want)
		for band := range want {
			want[band] = want[band].Truncate(time.Microsecond) // as the store has it
		}
		if !maps.Equal(disk, want) {
			t.Errorf("step %d: the store has %v, want %v", i, disk, want)
		}
	}
}
