package storetest

import (
	"iter"
	"maps"
	"slices"
)

// sectorSize is the number of bytes that a disk writes completely or not at all.
const sectorSize = 512

// Cut says which unsynced changes survive a power cut.
type Cut struct {
	// Name says whether a change of the folder has reached the disk. Data says the
	// same of a part of a file: the 512 bytes of a sector, or its new size. They
	// are called in the order of the changes; each sequence of answers stands for
	// an order in which a disk may have written.
	Name, Data func() bool
	Rubbish    byte // stands where the new size has reached the disk and the bytes have not
}

// all is a cut after which everything has reached the disk.
var all = Cut{Name: func() bool { return true }, Data: func() bool { return true }}

// After returns the disk after a power cut behind the first n operations. The last
// of them may be incomplete.
func (f *Disk) After(n int, c Cut) *Disk {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := newPlatter(f.start, f.pads)
	for _, op := range f.ops[:n] {
		d.do(op)
	}
	return d.cut(c)
}

// Cuts yields for each operation how many are done, and a function that returns the
// disk after a power cut there. The disks are those of After, but all of them
// together take linear time.
func (f *Disk) Cuts() iter.Seq2[int, func(Cut) *Disk] {
	return func(yield func(int, func(Cut) *Disk) bool) {
		f.mu.Lock()
		ops, d := slices.Clone(f.ops), newPlatter(f.start, f.pads)
		f.mu.Unlock()
		for i, op := range ops {
			d.do(op)
			if !yield(i+1, d.cut) {
				return
			}
		}
	}
}

// platter divides the operations into those that are safe and those that are not.
type platter struct {
	names  map[string]int
	folder []operation // changes of names that are not synced
	files  map[int]*platterFile
	pads   bool // Disk.Pad
}

type platterFile struct {
	data    []byte   // safe
	changes []change // not yet safe, oldest first
}

type change struct {
	op    operation
	state changeState
}

type changeState int

const (
	pending changeState = iota
	safe                // a sync has succeeded
	doubted             // a sync has failed; no later sync makes up for it
)

func newPlatter(files map[string][]byte, pads bool) *platter {
	d := &platter{names: map[string]int{}, files: map[int]*platterFile{}, pads: pads}
	for i, name := range slices.Sorted(maps.Keys(files)) {
		d.names[name], d.files[i+1] = i+1, &platterFile{data: slices.Clone(files[name])}
	}
	return d
}

func (d *platter) do(op operation) {
	switch op.op {
	case OpCreate, OpRename, OpRemove:
		if op.op == OpCreate {
			d.files[op.file] = &platterFile{}
		}
		d.folder = append(d.folder, op)
	case OpSyncDir:
		if op.failed {
			return // a change of names is not safe until it is synced
		}
		for _, o := range d.folder {
			rename(d.names, o)
		}
		d.folder = nil
	case OpWrite, OpTruncate:
		d.files[op.file].changes = append(d.files[op.file].changes, change{op, pending})
	case OpSync:
		d.files[op.file].sync(op.failed)
	}
}

func (f *platterFile) sync(failed bool) {
	for i := range f.changes {
		if c := &f.changes[i]; c.state == pending {
			c.state = safe
			if failed {
				c.state = doubted
			}
		}
	}
	for len(f.changes) > 0 && f.changes[0].state == safe {
		f.data = all.tear(f.data, f.changes[0].op)
		f.changes = f.changes[1:]
	}
}

func rename(names map[string]int, o operation) {
	delete(names, o.name)
	switch o.op {
	case OpCreate:
		names[o.name] = o.file
	case OpRename:
		names[o.to] = o.file
	}
}

func (d *platter) cut(c Cut) *Disk {
	names := maps.Clone(d.names)
	for _, o := range d.folder {
		if c.Name() {
			rename(names, o)
		}
	}
	files := map[string][]byte{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		file := d.files[names[name]]
		data := slices.Clone(file.data)
		for _, change := range file.changes {
			if change.state == safe {
				data = all.tear(data, change.op)
			} else {
				data = c.tear(data, change.op)
			}
		}
		files[name] = data
	}
	after := NewDisk(files)
	after.pads = d.pads
	return after
}

// tear applies a part of an operation.
func (c Cut) tear(data []byte, o operation) []byte {
	if o.op == OpTruncate {
		if c.Data() {
			data = resize(data, o.at)
		}
		return data
	}
	end := o.at + int64(len(o.data))
	if size := int64(len(data)); end > size && c.Data() {
		data = resize(data, end)
		for i := max(size, o.at); i < end; i++ { // zeros fill a gap in front of it
			data[i] = c.Rubbish
		}
	}
	for from := o.at; from < end; {
		to := min((from/sectorSize+1)*sectorSize, end)
		if c.Data() {
			data = writeAt(data, o.data[from-o.at:to-o.at], from)
		}
		from = to
	}
	return data
}
