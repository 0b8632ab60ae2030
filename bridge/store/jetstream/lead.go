package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"lorawand/bridge/store"
)

// put stores a message. It tries for as long as patience allows, or until ctx ends. The caller
// holds writing.
func (s *Store) put(ctx context.Context, m *sent) error {
	ctx, cancel := context.WithTimeout(ctx, s.o.patience())
	defer cancel()
	for {
		err := s.try(ctx, m)
		if err == nil || errors.Is(err, ErrLost) {
			return err
		}
		if err = pause(ctx, s.o.attempt()/40, err); err != nil {
			return err
		}
	}
}

// pause waits before something is tried again. It returns an error if ctx ends.
func pause(ctx context.Context, d time.Duration, why error) error {
	select {
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUncertain, why)
	case <-time.After(d):
		return nil
	}
}

// try is one attempt of put.
func (s *Store) try(ctx context.Context, m *sent) error {
	stored, err := s.settle(ctx)
	if err != nil {
		return err
	}
	if stored == m && m != nil {
		return nil
	}
	if err = s.w.publish(ctx, m); err == nil {
		s.growth.add(m)
	}
	return err
}

// settle finds out what has become of a message whose answer is lost, and returns it if it is
// stored.
func (s *Store) settle(ctx context.Context) (*sent, error) {
	stored, err := s.w.settle(ctx, s.Left() == 0)
	if stored != nil {
		s.growth.add(stored)
	}
	if stored != nil && stored.kind == isGroup {
		s.mu.Lock()
		s.number++
		s.mu.Unlock()
		s.w.owe(stored)
	}
	if stored != nil && stored.replaces {
		err = fmt.Errorf("%w: a backup is restored after all, and has to be loaded", ErrLost)
	}
	return stored, err
}

// settled is settle until there is a result. It tries for as long as put.
func (s *Store) settled(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.o.patience())
	defer cancel()
	for {
		_, err := s.settle(ctx)
		if err == nil || errors.Is(err, ErrLost) {
			return err
		}
		if err = pause(ctx, s.o.attempt()/40, err); err != nil {
			return err
		}
	}
}

// commit stores records. The caller holds writing.
func (s *Store) commit(records []store.Record) error {
	if s.closed {
		return store.ErrClosed
	}
	if s.isLost.Load() {
		return ErrLost
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.o.patience())
	defer cancel()
	if err := s.settled(ctx); err != nil {
		return err
	}
	all := slices.Concat(s.owed(), records)
	bytes, err := store.EncodeRecords(all)
	if err != nil {
		return err
	}
	number := s.Seen() + 1
	for i, m := range messages(number, bytes, all) {
		if i > 0 { // a long commit may take longer, as long as it goes on
			ctx = s.ctx
		}
		if err := s.put(ctx, m); err != nil {
			return err
		}
	}
	clear(s.w.debt)
	s.o.saw(number)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.content.Apply(records)
	s.number = number
	s.stats.Commits++
	s.stats.Written += int64(len(bytes))
	return nil
}

// owed returns the records that take back what is stored though it was told that it is not.
func (s *Store) owed() (out []store.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k := range s.w.debt {
		out = append(out, s.content.At(k[0], k[1]))
	}
	return out
}

// live gives signs of life until the store is closed or the lead is lost, and looks after the
// size of the stream.
func (s *Store) live() {
	tick := time.NewTicker(s.o.beat())
	defer tick.Stop()
	for beats := 1; ; beats++ {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		if err := s.beat(); errors.Is(err, ErrLost) {
			s.lose(err)
			return
		}
		if beats%beatsKept == 0 {
			s.thin()
		}
		s.maySnapshot()
	}
}

// beatsKept is how many beats gather before all but the last are deleted.
const beatsKept = 128

// beat stores a sign of life, unless a commit is just doing that.
func (s *Store) beat() error {
	if !s.writing.TryLock() {
		return nil
	}
	defer s.writing.Unlock()
	if s.closed || s.isLost.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.o.attempt())
	defer cancel()
	before := s.Left() > 0
	err := s.try(ctx, &sent{kind: isBeat})
	if after := s.Left() > 0; before && !after {
		s.log.Warn("the lease has ended, and the servers do not renew it: nothing is sent", "reason", err)
	} else if after && !before {
		s.log.Info("the lease is renewed")
	}
	return err
}

// thin deletes the beats but the last one. It is no matter if that fails, or comes late.
func (s *Store) thin() {
	if err := s.link.purge(s.ctx, 0, isBeat); err != nil {
		s.log.Debug("beats are not deleted", "reason", err)
	}
}
