package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// append writes a group to the journal and syncs it. The caller holds writing.
func (s *Store) append(b []byte) error {
	if s.closed {
		return ErrClosed
	}
	err := s.tryAppend(b)
	if noSpace(err) && s.makeRoom() {
		err = s.tryAppend(b)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.stats.LastError = err
		return err
	}
	s.stats.JournalSize = s.older + s.journal.end
	return nil
}

func (s *Store) tryAppend(b []byte) error {
	if err := s.ready(); err != nil {
		return err
	}
	j := s.journal
	end := j.end
	if err := j.write(b, place(end, len(b))); err != nil {
		// The next group must not follow an incomplete one.
		if cut := j.cut(end); cut != nil {
			s.distrust()
			return errors.Join(err, cut)
		}
		return err
	}
	if err := j.sync(); err != nil {
		// The kernel may have dropped the pages while it takes them for written.
		s.distrust()
		return err
	}
	return nil
}

// distrust gives up the journal. Its synced commits count; the next commit begins a
// generation with a snapshot of the whole memory.
func (s *Store) distrust() {
	_ = s.journal.f.Close()
	s.journal = nil
}

// ready makes sure that the mark exists, and a journal to append to.
func (s *Store) ready() error {
	var err error
	switch {
	case s.journal != nil:
	case s.resume != nil:
		err = s.openJournal()
	default:
		s.mu.Lock()
		records := sorted(s.records)
		s.mu.Unlock()
		what := isJournal
		if s.restart {
			what = isRestart
		}
		_, err = s.begin(what, s.number, records)
	}
	if err == nil {
		err = s.writeMark()
	}
	return err
}

// openJournal opens the journal that was read, and cuts off an unfinished write.
func (s *Store) openJournal() error {
	f, err := s.fs.Open(s.resume.name)
	if err != nil {
		return err
	}
	o := &output{f: f, wear: &s.wear, end: s.resume.end, dirty: s.resume.end}
	if s.resume.size > s.resume.end {
		if err := o.cut(o.end); err != nil {
			_ = f.Close()
			return err
		}
	}
	s.journal, s.resume = o, nil
	s.mu.Lock()
	s.stats.Generation = s.generation
	s.mu.Unlock()
	return nil
}

// begin begins a generation with records, after the commit with the number base.
// what is isJournal or isRestart. The caller holds writing; begin does not change
// the memory. After a failure installed files of this generation hold no commits,
// and the next attempt replaces them.
func (s *Store) begin(what string, base uint64, records []Record) (installed bool, err error) {
	s.background.Wait()
	g := s.generation + 1
	size := int64(0)
	if base != noCommits || len(records) > 0 || what == isRestart { // which does not go on from what was there
		snapshot, err := s.createSnapshot(g, base, records, func() bool { return false })
		if err != nil {
			return false, err
		}
		size = snapshot.end
	}
	j, installed, err := s.newJournal(what, g, base)
	if err != nil {
		s.remove(snapshotName(g) + endingNew)
		return installed, err
	}
	if size > 0 {
		if err := s.install(snapshotName(g)); err != nil {
			_ = j.f.Close()
			return true, err
		}
	}
	if s.journal != nil {
		_ = s.journal.f.Close()
	}
	s.journal, s.resume, s.restart, s.generation = j, nil, false, g
	s.mu.Lock()
	s.stats.Generation = g
	s.older, s.retryAt, s.stats.JournalSize = 0, 0, j.end
	if size > 0 {
		s.took(g, size)
	}
	kept := s.kept
	s.mu.Unlock()
	s.clean(kept, true)
	return true, nil
}

// took records that there is a new snapshot. The caller holds mu.
func (s *Store) took(generation uint64, size int64) {
	s.kept, s.newest = s.newest, generation
	s.stats.SnapshotSize = size
	s.stats.Compactions++
}

// newJournal makes a journal that begins after a commit. installed says whether the
// file may exist in spite of an error.
func (s *Store) newJournal(what string, generation, base uint64) (j *output, installed bool, err error) {
	name := journalName(generation)
	j, err = s.create(name, func(o *output) error {
		return o.writeSynced(appendHeader(nil, header{what, generation, base}))
	})
	if err != nil {
		return nil, false, err
	}
	if err := s.install(name); err != nil {
		_ = j.f.Close()
		return nil, true, err
	}
	return j, true, nil
}

// createSnapshot writes a snapshot under its temporary name. It gives up when stop
// returns true.
func (s *Store) createSnapshot(generation, base uint64, records []Record, stop func() bool) (*output, error) {
	o, err := s.create(snapshotName(generation), func(o *output) error {
		return writeSnapshot(o, header{isSnapshot, generation, base}, records, stop)
	})
	if err != nil {
		return nil, err
	}
	return o, o.f.Close()
}

// writeMark keeps a copy of the file of format 1, and writes the mark of the
// present format.
func (s *Store) writeMark() error {
	if s.format1 != nil {
		if err := s.newFile(format1Name, s.format1); err != nil {
			return err
		}
		s.format1, s.hasMark = nil, false
	}
	if s.hasMark {
		return nil
	}
	if err := s.newFile(markName, appendHeader(nil, header{what: isMark})); err != nil {
		return err
	}
	s.hasMark = true
	return nil
}

// newFile makes a file with these bytes in the folder.
func (s *Store) newFile(name string, b []byte) error {
	o, err := s.create(name, func(o *output) error { return o.writeSynced(b) })
	if err != nil {
		return err
	}
	if err := o.f.Close(); err != nil {
		return err
	}
	return s.install(name)
}

// create writes a file under its temporary name. It removes a file that it cannot
// write.
func (s *Store) create(name string, write func(*output) error) (*output, error) {
	f, err := s.fs.Create(name + endingNew)
	if err != nil {
		return nil, err
	}
	o := &output{f: f, wear: &s.wear}
	if err := write(o); err != nil {
		_ = f.Close()
		s.remove(name + endingNew)
		return nil, err
	}
	return o, nil
}

// install renames a file to its name. After an error the file may be there or not.
func (s *Store) install(name string) error {
	if err := s.fs.Rename(name+endingNew, name); err != nil {
		s.remove(name + endingNew)
		return err
	}
	return s.fs.SyncDir()
}

// due reports whether the journal is to be compacted. The caller holds mu.
func (s *Store) due() bool {
	size := s.stats.JournalSize
	return !s.compacting && size > max(s.opts.journalFloor, journalRatio*s.stats.SnapshotSize) && size >= s.retryAt
}

// compact sends the next commits to a new journal, and starts to write a snapshot
// of the state before it. Until the snapshot is complete, the state is the older
// snapshot and all journals since then. The caller holds writing.
func (s *Store) compact() {
	g := s.generation + 1
	j, installed, err := s.newJournal(isJournal, g, s.number)
	if err != nil {
		// If the new journal exists, the old one must not be continued.
		if installed {
			s.distrust()
		}
		s.notCompacted(err)
		return
	}
	_ = s.journal.f.Close()
	s.generation = g
	s.mu.Lock()
	s.older += s.journal.end
	s.journal = j
	s.stats.Generation, s.stats.JournalSize = g, s.older+j.end
	s.compacting = true
	base, covered, records := s.number, s.older, sorted(s.records)
	s.mu.Unlock()
	if s.opts.inline {
		s.writeSnapshot(g, base, covered, records)
	} else {
		s.background.Go(func() { s.writeSnapshot(g, base, covered, records) })
	}
}

// writeSnapshot writes a snapshot, which makes so many bytes of older journals
// superfluous. Then it removes the files before the generation that is kept.
func (s *Store) writeSnapshot(generation, base uint64, covered int64, records []Record) {
	o, err := s.createSnapshot(generation, base, records, s.stop.Load)
	if noSpace(err) && s.makeRoom() {
		o, err = s.createSnapshot(generation, base, records, s.stop.Load)
	}
	if err == nil {
		err = s.install(snapshotName(generation))
	}
	if err != nil {
		s.notCompacted(err)
		return
	}
	s.mu.Lock()
	s.compacting = false
	s.older -= covered
	s.stats.JournalSize -= covered
	s.retryAt = 0
	s.took(generation, o.end)
	kept := s.kept
	s.mu.Unlock()
	s.clean(kept, true)
}

// notCompacted postpones the compaction until the journal has grown again.
func (s *Store) notCompacted(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.compacting = false
	if errors.Is(err, errStopped) {
		return
	}
	s.retryAt = s.stats.JournalSize + s.opts.journalFloor
	s.stats.LastError = fmt.Errorf("compaction: %w", err)
	s.log.Warn("cannot compact the store's journal; it grows until a later attempt succeeds", "error", err, "bytes",
		s.stats.JournalSize)
}

// makeRoom removes the files before the newest snapshot, and reports whether there
// may have been any. A commit is worth more than a spare copy.
func (s *Store) makeRoom() bool {
	s.mu.Lock()
	newest := s.newest
	older := newest > s.kept
	s.kept = max(s.kept, newest)
	s.mu.Unlock()
	if older {
		s.log.Warn("the disk is full; the store removes the older copy of its state")
		s.clean(newest, false)
	}
	return older
}

// clean removes the generations before one, and unfinished files if nobody is
// writing one now. A file that cannot be removed is removed by a later call.
func (s *Store) clean(before uint64, unfinished bool) {
	names, err := s.fs.List()
	if err != nil {
		return
	}
	for _, name := range names {
		_, g := parseName(name)
		if g > 0 && g < before || unfinished && strings.HasSuffix(name, endingNew) {
			s.remove(name)
		}
	}
}

// remove removes a file, and ignores an error.
func (s *Store) remove(name string) { _ = s.fs.Remove(name) }

// quarantine renames the damaged snapshots, so that they do not count as an older
// generation. It removes damaged ones of an earlier time.
func (s *Store) quarantine(damaged []uint64) {
	s.rename(endingDamaged, func(g uint64, what string) bool { return what == isSnapshot && slices.Contains(damaged, g) })
}

// rename gives files an ending, and removes older files with that ending. It does
// nothing if there are no such files.
func (s *Store) rename(ending string, which func(generation uint64, what string) bool) {
	names, err := s.fs.List()
	if err != nil {
		return
	}
	var found []string
	for _, name := range names {
		if what, g := parseName(name); g > 0 && which(g, what) {
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		return
	}
	for _, name := range names {
		if strings.HasSuffix(name, ending) {
			s.remove(name)
		}
	}
	for _, name := range found {
		_ = s.fs.Rename(name, name+ending)
	}
	_ = s.fs.SyncDir()
}
