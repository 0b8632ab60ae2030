package pace

import (
	"fmt"
	"testing"
	"time"
)

// A name spends what it has saved, and then what it earns; others have their own.
func TestBudgets(t *testing.T) {
	var b Budgets
	now := time.Unix(1000, 0)
	for i, step := range []struct {
		after time.Duration
		name  string
		cost  int
		ok    bool
	}{
		{0, "app1", Most, true},
		{0, "app1", 1, false},
		{0, "app2", Most - 1, true},
		{0, "app2", 1, true},
		{0, "app2", 1, false},
		{time.Second / 2, "app1", PerSecond/2 + 1, false}, // and that is spent all the same
		{0, "app1", 1, false},
		{time.Second, "app1", PerSecond, true},
		{0, "app1", 1, false},
		{time.Hour, "app1", Most + 1, false}, // it does not save up more
		{time.Hour, "app1", Most, true},
		{-time.Minute, "app1", 1, false}, // a clock that goes back gives nothing
		{0, "app3", 1, true},
		{-time.Hour, "app3", Most - 1, true}, // and takes nothing
		{0, "app3", 1, false},
	} {
		now = now.Add(step.after)
		if ok := b.Spend(step.name, step.cost, now); ok != step.ok {
			t.Errorf("step %d: %v, want %v", i, ok, step.ok)
		}
	}
}

// Where all is spent, that one floods which spends more than 1 a second.
func TestFloods(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spent int
		since time.Duration // since that one was refused something
		bytes int
		want  bool
	}{
		{"a flood", Most, 999 * time.Millisecond, 1, true},
		{"1 a second", Most, time.Second, 1, false},
		{"a long one", Most, 60 * time.Second, 60 << 10, true},
		{"a long one a minute", Most, 61 * time.Second, 60 << 10, false},
		{"there is some left", Most - 1, 0, 1, false},
		{"there is not as much left", Most - 1, 0, 1 << 10, true},
		{"one that costs all", 0, 0, Most << 10, false},
		{"a longer one costs no more", 0, 0, 16 << 20, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b Budgets
			last := time.Unix(1000, 0)
			now := last.Add(tt.since)
			b.Spend("app1", tt.spent, now)
			if got := b.Floods("app1", &last, tt.bytes, now); got != tt.want || !last.Equal(now) {
				t.Errorf("%v, and the last one was at %v", got, last)
			}
			if b.Floods("app2", &last, tt.bytes, now) {
				t.Error("another name floods")
			}
		})
	}
}

// Names that have saved up all again are forgotten.
func TestBudgetsForget(t *testing.T) {
	var b Budgets
	now := time.Unix(1000, 0)
	for i := range 10_000 {
		b.Spend(fmt.Sprint("app", i), 1, now)
		now = now.Add(time.Millisecond)
	}
	if n := len(b.spent); n > 20 {
		t.Errorf("%d names are remembered", n)
	}
}
