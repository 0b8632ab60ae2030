package store

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Names of files. A name with one of the endings is not read again.
const (
	markName    = "state"    // in format 1 the whole state; now it tells older versions that this is not for them
	format1Name = "state.v1" // a copy of the file of format 1

	endingNew     = ".new"     // not finished; renamed when it is
	endingDamaged = ".damaged" // a snapshot that could not be read
	endingOld     = ".old"     // what stood in the folder before a backup was restored
)

func snapshotName(generation uint64) string { return fmt.Sprintf("snapshot-%08d", generation) }
func journalName(generation uint64) string  { return fmt.Sprintf("journal-%08d", generation) }

// parseName returns what snapshotName and journalName were given.
func parseName(name string) (what string, generation uint64) {
	kind, digits, _ := strings.Cut(name, "-")
	g, err := strconv.ParseUint(digits, 10, 64)
	switch {
	case err != nil || g == 0:
	case kind == "snapshot" && name == snapshotName(g):
		return isSnapshot, g
	case kind == "journal" && name == journalName(g):
		return isJournal, g
	}
	return "", 0
}

// found is what a folder holds.
type found struct {
	records map[id]Record
	number  uint64 // of the last commit in records

	generation uint64  // the highest number of a file
	seen       uint64  // the highest number of a commit
	start      uint64  // generation of the snapshot that was read; 0: none
	snapshot   int64   // its size
	journals   int64   // size of the journals that were read
	resume     *resume // the journal that goes on; nil: a new generation is due

	dropped int64    // bytes of a write that a power cut interrupted
	damage  []string // what could not be read
	damaged []uint64 // the snapshots among it
	lost    string   // why commits may be missing; "": none are
	format1 []byte   // the file of format 1, which is to be migrated
	hasMark bool     // the mark is there and whole
}

// resume says where a journal goes on.
type resume struct {
	name      string
	end, size int64 // behind the last commit, and of the file
}

// readFolder reads what is in a folder, and changes nothing. With ErrCorrupt it
// returns what is known nevertheless, without records.
//
// The state is the newest whole snapshot and the commits behind it, in the
// journals of its and all later generations. Commits are numbered without gaps
// and a journal's header says behind which it begins, so it is known whether
// any are missing. A journal goes on up to where the next one begins: what
// stands behind that was never answered.
func readFolder(fsys FS) (found, error) {
	r := reader{fs: fsys}
	names, err := fsys.List()
	if err != nil {
		return found{}, err
	}
	var snapshots, journals []uint64
	for _, name := range names {
		switch what, g := parseName(name); what {
		case isSnapshot:
			snapshots = append(snapshots, g)
			r.generation = max(r.generation, g)
		case isJournal:
			journals = append(journals, g)
			r.generation = max(r.generation, g)
		}
	}
	slices.Sort(snapshots)
	slices.Sort(journals)
	records, err := r.readMark()
	if errors.Is(err, ErrCorrupt) && r.generation > 0 {
		r.note(markName, err)
		r.format1, err = nil, nil
	}
	if err != nil {
		return r.found, err
	}
	err = r.readGenerations(snapshots, journals)
	if records != nil && (err == nil || errors.Is(err, ErrCorrupt)) {
		// The migration was interrupted, or an older version has run since.
		return found{records: records, number: r.seen, seen: r.seen, generation: r.generation, format1: r.format1}, nil
	}
	return r.found, err
}

type reader struct {
	fs FS
	found
}

func (r *reader) note(name string, err error) {
	r.damage = append(r.damage, name+": "+err.Error())
}

// file reads a file. One that the disk cannot read is ErrCorrupt.
func (r *reader) file(name string) ([]byte, error) {
	b, err := r.fs.ReadFile(name)
	if errors.Is(err, unix.EIO) {
		err = fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return b, err
}

// readMark reads the mark, or returns the records of format 1.
func (r *reader) readMark() (map[id]Record, error) {
	b, err := r.file(markName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if isFormat1(b) {
		r.format1 = b
		records, err := decodeFormat1(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", markName, err)
		}
		return records, nil
	}
	if _, err := decodeHeader(b, isMark); err != nil {
		r.format1 = b // whatever it is, it is kept
		return nil, fmt.Errorf("%s: %w", markName, err)
	}
	r.hasMark = true
	return nil, nil
}

func (r *reader) readGenerations(snapshots, journals []uint64) error {
	if err := r.readSnapshot(snapshots); err != nil {
		return err
	}
	js, err := r.readJournals(journals)
	if err != nil {
		return err
	}
	if len(snapshots) == 0 && len(js) == 0 {
		return nil
	}
	// Before the first snapshot the journals begin with an empty state.
	if r.start == 0 && (len(js) == 0 || !js[0].known || js[0].base != noCommits || js[0].restart) {
		return fmt.Errorf("%w: there is no whole snapshot: %s", ErrCorrupt, strings.Join(r.damage, "; "))
	}
	js = r.withoutRestarts(js, snapshots)
	r.apply(js)
	if len(snapshots) > 0 && (len(js) == 0 || js[len(js)-1].generation < snapshots[len(snapshots)-1]) {
		// A journal is there before its snapshot.
		r.lose("there is no %s", journalName(snapshots[len(snapshots)-1]))
	}
	if len(js) > 0 {
		r.finish(js[len(js)-1])
	}
	if r.lost != "" {
		r.records[behind] = Record{Kind: behind.kind, Key: behind.key, Version: 1, Data: []byte(r.lost)}
	}
	return nil
}

// readSnapshot reads the newest snapshot that is whole.
func (r *reader) readSnapshot(snapshots []uint64) error {
	r.records = map[id]Record{}
	for _, g := range slices.Backward(snapshots) {
		name := snapshotName(g)
		b, err := r.file(name)
		if err == nil {
			var h header
			var records map[id]Record
			if h, records, err = decodeSnapshot(b); err == nil && h.generation != g {
				err = fmt.Errorf("%w: of generation %d", ErrCorrupt, h.generation)
			}
			r.seen = max(r.seen, h.base)
			if err == nil {
				r.records, r.number, r.start, r.snapshot = records, h.base, g, int64(len(b))
				return nil
			}
		}
		if !errors.Is(err, ErrCorrupt) {
			return fmt.Errorf("%s: %w", name, err)
		}
		r.note(name, err)
		r.damaged = append(r.damaged, g)
	}
	return nil
}

// readJournals reads the journals from the snapshot on.
func (r *reader) readJournals(journals []uint64) ([]journal, error) {
	var js []journal
	for _, g := range journals {
		if g < r.start {
			continue
		}
		name := journalName(g)
		b, err := r.file(name)
		j := journal{generation: g, damage: err}
		if err == nil {
			j, err = decodeJournal(g, b)
		}
		if err != nil && !errors.Is(err, ErrCorrupt) {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if j.damage != nil {
			r.note(name, j.damage)
		}
		r.seen = max(r.seen, j.base)
		if n := len(j.groups); n > 0 {
			r.seen = max(r.seen, j.groups[n-1].number)
		}
		r.journals += j.size
		js = append(js, j)
	}
	return js, nil
}

// withoutRestarts leaves out what was begun and interrupted: a journal without
// commits that follows a snapshot which is not there.
func (r *reader) withoutRestarts(js []journal, snapshots []uint64) []journal {
	return slices.DeleteFunc(js, func(j journal) bool {
		return j.restart && len(j.groups) == 0 && !slices.Contains(snapshots, j.generation)
	})
}

// apply puts the commits of the journals on top of the snapshot, as far as they
// follow each other.
func (r *reader) apply(js []journal) {
	for i, j := range js {
		limit := uint64(math.MaxUint64)
		for _, next := range js[i+1:] {
			if next.known {
				limit = next.base
				break
			}
		}
		if j.restart && j.generation != r.start {
			r.lose("there is no whole %s", snapshotName(j.generation))
		}
		if j.known && j.base > r.number {
			r.lose("commits %d to %d are missing in front of %s", r.number+1, j.base, journalName(j.generation))
		}
		for _, g := range j.groups {
			if r.lost != "" || g.number > limit {
				break
			}
			r.applyGroup(j, g)
		}
		if r.lost != "" {
			return
		}
	}
	if n := len(js); n > 0 && !js[n-1].known {
		r.lose("%s cannot be read", journalName(js[n-1].generation))
	}
}

func (r *reader) applyGroup(j journal, g group) {
	if g.number <= r.number {
		return
	}
	if g.number > r.number+1 {
		r.lose("commits %d to %d are missing in %s", r.number+1, g.number-1, journalName(j.generation))
		return
	}
	records, err := decodeRecords(g.payload)
	if err != nil {
		r.note(journalName(j.generation), err)
		r.lose("commit %d cannot be read", g.number)
		return
	}
	put(r.records, records)
	r.number = g.number
}

func (r *reader) lose(why string, args ...any) {
	if r.lost == "" {
		r.lost = fmt.Sprintf(why, args...)
	}
}

// finish says how the last journal goes on.
func (r *reader) finish(j journal) {
	if r.lost == "" {
		r.dropped = j.size - j.end
	}
	// Nothing is written behind damage, nor in front of what was left out.
	if r.lost == "" && len(r.damage) == 0 && j.generation == r.generation {
		r.resume = &resume{journalName(j.generation), j.end, j.size}
	}
}

// put applies records in their order.
func put(to map[id]Record, records []Record) {
	for _, r := range records {
		if r.Data == nil {
			delete(to, id{r.Kind, r.Key})
		} else {
			to[id{r.Kind, r.Key}] = r
		}
	}
}
