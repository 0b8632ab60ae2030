package jetstream

import "context"

// Abandon ends a store as the end of its process does.
func (s *Store) Abandon() {
	if s.end(false) {
		s.link.nc.Close()
		s.wg.Wait()
	}
}

// Snapshot writes a snapshot now.
func (s *Store) Snapshot() error {
	s.writing.Lock()
	t := s.take()
	s.writing.Unlock()
	return s.write(t)
}

// GiveUp stores a part of a commit, and gives the commit up.
func (s *Store) GiveUp(bytes []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.put(context.Background(), &sent{kind: isPart, body: partBody(0, bytes)})
}

// Thin deletes all beats but the last.
func (s *Store) Thin() { s.thin() }
