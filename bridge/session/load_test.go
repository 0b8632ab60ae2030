package session

import "testing"

func TestLoad(t *testing.T) {
	a, b := &Item{FRMPayload: make([]byte, 10)}, &Item{CorrelationIDs: []string{"abc"}}
	var q Queue
	q.Add(a)
	q.Add(b)
	both := LoadOf([]*Item{a, b})
	if want := (Load{2, a.Size() + b.Size()}); both != want || q.Fill() != want {
		t.Errorf("%+v, of the queue %+v; want %+v", both, q.Fill(), want)
	}
	one, other := LoadOf([]*Item{a}), LoadOf([]*Item{b})
	if one.Plus(other) != both || both.Minus(other) != one || both.Minus(both) != (Load{}) {
		t.Errorf("%+v and %+v do not make %+v", one, other, both)
	}
}
