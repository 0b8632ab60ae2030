package macstate

// RJCount0 returns the smallest RJcount0 that a rejoin-request may have.
func (s *State) RJCount0() uint32 {
	if s == nil {
		return 0
	}
	return s.NextRJCount0
}

// WithRJCount0 returns the State where RJcount0 below next was used too.
func (s *State) WithRJCount0(next uint32) *State {
	if next <= s.RJCount0() {
		return s
	}
	return s.With(func(n *State) { n.NextRJCount0 = next })
}

// Rekeyed returns the State of a device in the session that a rejoin-request of type 2 gives
// it: its radio parameters stay, its frame counters begin anew.
func (s *State) Rekeyed() *State {
	if s == nil {
		return nil
	}
	n := s.clone()
	n.Asked, n.Decision, n.LinkAt, n.LinkTries, n.Sticky, n.NextRJCount0 = nil, nil, 0, 0, 0, 0
	n.ClassB, n.Wish = false, s.rejoined()
	if n.Status != nil {
		status := *n.Status
		status.FCntUp = 0
		n.Status = &status
	}
	return n
}

// Restarted returns the State of a device in the session that a rejoin-request of type 0 or
// 1 gives it: it has its radio parameters of a join, and its owner wants the same as before.
func (s *State) Restarted() *State {
	if s == nil || s.Wish == nil {
		return nil
	}
	return &State{Wish: s.rejoined()}
}

// rejoined returns the Wish without the rejoin-request, which has come.
func (s *State) rejoined() *Wish {
	if s.Wish == nil || s.Wish.ForceRejoin == nil {
		return s.Wish
	}
	w := *s.Wish
	w.ForceRejoin = nil
	return &w
}

// Force returns the State with the wish that the device sends a rejoin-request of a type.
func (s *State) Force(rejoinType uint8) *State {
	return s.With(func(n *State) {
		w := n.Wish.Over(Wish{})
		w.ForceRejoin = &rejoinType
		n.Wish = &w
	})
}
