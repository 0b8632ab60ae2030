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
	} {
		now = now.Add(step.after)
		if ok := b.Spend(step.name, step.cost, now); ok != step.ok {
			t.Errorf("step %d: %v, want %v", i, ok, step.ok)
		}
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
