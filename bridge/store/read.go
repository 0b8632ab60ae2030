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

// Names of files. Files with one of the endings are never read.
const (
	markName    = "state"    // in format 1 the whole state; now it tells older versions that they cannot read this folder
	format1Name = "state.v1" // a copy of the file of format 1

	endingNew     = ".new"     // not complete; renamed when it is
	endingDamaged = ".damaged" // a snapshot that could not be read
	endingOld     = ".old"     // files of the store before a backup was restored
)

func snapshotName(generation uint64) string { return fmt.Sprintf("snapshot-%08d", generation) }
func journalName(generation uint64) string  { return fmt.Sprintf("journal-%08d", generation) }

// parseName splits a name that snapshotName or journalName made.
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

// found is the content of a folder.
type found struct {
	records map[id]Record
	number  uint64 // of the last commit in records

	generation uint64  // the highest generation of all files
	seen       uint64  // the highest number of all commits
	start      uint64  // generation of the snapshot that was read; 0: none
	snapshot   int64   // its size
	journals   int64   // size of the journals that were read
	resume     *resume // the journal that commits are appended to; nil: begin a new generation

	dropped int64    // bytes of a write that a power cut interrupted
	damage  []string // what could not be read, and why
	damaged []uint64 // generations of the damaged snapshots
	lost    string   // why commits may be missing; "": no commit is missing
	format1 []byte   // the file of format 1 that is to be migrated
	hasMark bool     // the mark exists and is good
}

// resume says where new commits are appended to a journal.
type resume struct {
	name      string
	end, size int64 // end of the last commit, and of the file
}

// readFolder reads the files of a folder and changes nothing. With ErrCorrupt it
// returns what it has found all the same, without records.
//
// The state is the newest good snapshot plus the commits in the journals of its
// generation and of all later ones. The numbers of commits have no gaps, and the
// header of a journal has the number of the commit before it; so missing commits
// are noticed. A journal ends where the next one begins: what follows in it was
// never confirmed.
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
		// The migration was interrupted, or an older version has run since then.
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

// file reads a file. It returns ErrCorrupt for a file that the disk cannot read.
func (r *reader) file(name string) ([]byte, error) {
	b, err := r.fs.ReadFile(name)
	if errors.Is(err, unix.EIO) {
		err = fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return b, err
}

// readMark reads the mark. Where the file is of format 1, it returns the records.
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
		r.format1 = b // kept, whatever it holds
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
		// A journal is written before its snapshot.
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

// readSnapshot reads the newest good snapshot.
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

// readJournals reads the journals of the snapshot's generation and of all later
// ones.
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

// withoutRestarts leaves out a restart that was interrupted: a journal without
// commits whose snapshot is missing.
func (r *reader) withoutRestarts(js []journal, snapshots []uint64) []journal {
	return slices.DeleteFunc(js, func(j journal) bool {
		return j.restart && len(j.groups) == 0 && !slices.Contains(snapshots, j.generation)
	})
}

// apply applies the commits of the journals to the snapshot, up to the first gap.
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

// finish decides where new commits are appended to the last journal.
func (r *reader) finish(j journal) {
	if r.lost == "" && !j.padded {
		r.dropped = j.size - j.end
	}
	// Commits are never appended behind damage, nor to a journal with missing
	// commits.
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
