package store

import (
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
func (f *Fake) After(n int, c Cut) *Fake {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := newDisk(f.start)
	for _, op := range f.ops[:n] {
		d.do(op)
	}
	return d.cut(c)
}

// disk is what of the operations is safe, and what is not.
type disk struct {
	names  map[string]int
	folder []fakeOp // changes of names that are not synced
	files  map[int]*diskFile
}

type diskFile struct {
	data    []byte       // that is safe
	changes []fakeChange // since, oldest first
}

type fakeChange struct {
	op    fakeOp
	state changeState
}

type changeState int

const (
	pending changeState = iota
	safe                // a sync has succeeded
	doubted             // a sync has failed; no later one catches it up
)

func newDisk(files map[string][]byte) *disk {
	d := &disk{names: map[string]int{}, files: map[int]*diskFile{}}
	for i, name := range slices.Sorted(maps.Keys(files)) {
		d.names[name], d.files[i+1] = i+1, &diskFile{data: slices.Clone(files[name])}
	}
	return d
}

func (d *disk) do(op fakeOp) {
	switch op.op {
	case opCreate, opRename, opRemove:
		if op.op == opCreate {
			d.files[op.file] = &diskFile{}
		}
		d.folder = append(d.folder, op)
	case opSyncDir:
		if op.failed {
			return // a change of names stays in doubt until it is synced
		}
		for _, o := range d.folder {
			rename(d.names, o)
		}
		d.folder = nil
	case opWrite, opTruncate:
		d.files[op.file].changes = append(d.files[op.file].changes, fakeChange{op, pending})
	case opSync:
		d.files[op.file].sync(op.failed)
	}
}

func (f *diskFile) sync(failed bool) {
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

func rename(names map[string]int, o fakeOp) {
	delete(names, o.name)
	switch o.op {
	case opCreate:
		names[o.name] = o.file
	case opRename:
		names[o.to] = o.file
	}
}

func (d *disk) cut(c Cut) *Fake {
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
	return newFake(files)
}

// tear does a part of an operation.
func (c Cut) tear(data []byte, o fakeOp) []byte {
	if o.op == opTruncate {
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
