package storetest

import (
	"iter"
	"maps"
	"slices"
)

// sectorSize is what a disk writes whole or not at all, bytes.
const sectorSize = 512

// Cut says what a power cut leaves of what was not synced.
type Cut struct {
	// Name tells whether a change of the folder has reached the disk, and Data
	// whether a part of a file has: the 512 bytes of a sector, or its new size.
	// They are asked in the order in which the changes were made; whichever
	// they take makes an order that a disk may have chosen.
	Name, Data func() bool
	Rubbish    byte // what stands where the new size has come and the bytes have not
}

// all is a cut that leaves everything.
var all = Cut{Name: func() bool { return true }, Data: func() bool { return true }}

// After returns the disk after a power cut behind the first n operations, the
// last of which may not have been finished.
func (f *Disk) After(n int, c Cut) *Disk {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := newPlatter(f.start)
	for _, op := range f.ops[:n] {
		d.do(op)
	}
	return d.cut(c)
}

// Cuts yields, behind each operation, how many are done and how the disk is after
// a power cut there: what After returns, in linear time for all of them.
func (f *Disk) Cuts() iter.Seq2[int, func(Cut) *Disk] {
	return func(yield func(int, func(Cut) *Disk) bool) {
		f.mu.Lock()
		ops, d := slices.Clone(f.ops), newPlatter(f.start)
		f.mu.Unlock()
		for i, op := range ops {
			d.do(op)
			if !yield(i+1, d.cut) {
				return
			}
		}
	}
}

// platter is what of the operations is safe, and what is not.
type platter struct {
	names  map[string]int
	folder []operation // changes of names that are not synced
	files  map[int]*platterFile
}

type platterFile struct {
	data    []byte   // that is safe
	changes []change // since, oldest first
}

type change struct {
	op    operation
	state changeState
}

type changeState int

const (
	pending changeState = iota
	safe                // a sync has succeeded
	doubted             // a sync has failed; no later one catches it up
)

func newPlatter(files map[string][]byte) *platter {
	d := &platter{names: map[string]int{}, files: map[int]*platterFile{}}
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
			return // a change of names stays in doubt until it is synced
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
	return NewDisk(files)
}

// tear does a part of an operation.
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
		for i := max(size, o.at); i < end; i++ { // a gap in front of it is zeros
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
