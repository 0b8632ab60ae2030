package store

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// Fake is an FS in memory for tests. It notes each operation that changes
// something, and After gives the disk as a power cut may leave it. Faults can
// be put into it at any time.
type Fake struct {
	mu       sync.Mutex
	locked   bool
	names    map[string]*fakeFile
	start    map[string][]byte // what was there before the first operation
	ops      []fakeOp
	nextFile int
	fault    func(op, name string) error
	capacity int64 // bytes; 0: no bound
}

var _ FS = (*Fake)(nil)

// fakeFile is a file, which may have any number of names.
type fakeFile struct {
	number int
	data   []byte
}

// Operations as a fault function is told them. "read" and "list" change
// nothing.
const (
	opCreate   = "create"
	opOpen     = "open"
	opWrite    = "write"
	opTruncate = "truncate"
	opSync     = "sync"
	opRename   = "rename"
	opRemove   = "remove"
	opSyncDir  = "syncdir"
	opRead     = "read"
	opList     = "list"
)

// fakeOp is an operation that changed something.
type fakeOp struct {
	op, name, to string
	file         int
	at           int64 // of a write; the new size of a truncation
	data         []byte
	failed       bool // of a sync
}

// NewFake returns an empty disk.
func NewFake() *Fake { return newFake(nil) }

func newFake(files map[string][]byte) *Fake {
	f := &Fake{names: map[string]*fakeFile{}, start: map[string][]byte{}}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f.start[name] = slices.Clone(files[name])
		f.names[name] = f.newFile(slices.Clone(files[name]))
	}
	return f
}

func (f *Fake) newFile(data []byte) *fakeFile {
	f.nextFile++
	return &fakeFile{number: f.nextFile, data: data}
}

// Fail sets a function that is asked before each operation for an error, or nil
// for none. A sync that fails leaves open what is on the disk.
func (f *Fake) Fail(fault func(op, name string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

// SetCapacity bounds the size of all files together, in bytes; 0 is no bound. A
// write that does not fit is done as far as it fits.
func (f *Fake) SetCapacity(n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.capacity = n
}

// SetReadOnly refuses all changes, or none. It takes the place of Fail.
func (f *Fake) SetReadOnly(yes bool) {
	if !yes {
		f.Fail(nil)
		return
	}
	f.Fail(func(op, _ string) error {
		if op == opRead || op == opList {
			return nil
		}
		return unix.EROFS
	})
}

// Ops returns how many operations have changed something.
func (f *Fake) Ops() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.ops)
}

// Files returns what is in the folder now.
func (f *Fake) Files() map[string][]byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	files := map[string][]byte{}
	for name, file := range f.names {
		files[name] = slices.Clone(file.data)
	}
	return files
}

func (f *Fake) ask(op, name string) error {
	if f.fault != nil {
		if err := f.fault(op, name); err != nil {
			return &fs.PathError{Op: op, Path: name, Err: err}
		}
	}
	return nil
}

func (f *Fake) find(op, name string) (*fakeFile, error) {
	if err := f.ask(op, name); err != nil {
		return nil, err
	}
	file := f.names[name]
	if file == nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return file, nil
}

// Lock implements FS.
func (f *Fake) Lock() (io.Closer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.locked {
		return nil, ErrLocked
	}
	f.locked = true
	return fakeLock{f}, nil
}

type fakeLock struct{ f *Fake }

func (l fakeLock) Close() error {
	l.f.mu.Lock()
	defer l.f.mu.Unlock()
	l.f.locked = false
	return nil
}

// List implements FS.
func (f *Fake) List() ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.names)), f.ask(opList, "")
}

// ReadFile implements FS.
func (f *Fake) ReadFile(name string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	file, err := f.find(opRead, name)
	if err != nil {
		return nil, err
	}
	return slices.Clone(file.data), nil
}

// Create implements FS.
func (f *Fake) Create(name string) (File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.ask(opCreate, name); err != nil {
		return nil, err
	}
	file := f.names[name]
	if file == nil {
		file = f.newFile(nil)
		f.names[name] = file
		f.ops = append(f.ops, fakeOp{op: opCreate, name: name, file: file.number})
	} else {
		file.data = nil
		f.ops = append(f.ops, fakeOp{op: opTruncate, file: file.number})
	}
	return &fakeHandle{f, file, name}, nil
}

// Open implements FS.
func (f *Fake) Open(name string) (File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	file, err := f.find(opOpen, name)
	if err != nil {
		return nil, err
	}
	return &fakeHandle{f, file, name}, nil
}

// Rename implements FS.
func (f *Fake) Rename(from, to string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	file, err := f.find(opRename, from)
	if err != nil {
		return err
	}
	delete(f.names, from)
	f.names[to] = file
	f.ops = append(f.ops, fakeOp{op: opRename, name: from, to: to, file: file.number})
	return nil
}

// Remove implements FS.
func (f *Fake) Remove(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.find(opRemove, name); err != nil {
		return err
	}
	delete(f.names, name)
	f.ops = append(f.ops, fakeOp{op: opRemove, name: name})
	return nil
}

// SyncDir implements FS.
func (f *Fake) SyncDir() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.ask(opSyncDir, "")
	f.ops = append(f.ops, fakeOp{op: opSyncDir, failed: err != nil})
	return err
}

type fakeHandle struct {
	f    *Fake
	file *fakeFile
	name string // when it was opened
}

func (h *fakeHandle) Close() error { return nil }

// WriteAt implements File.
func (h *fakeHandle) WriteAt(b []byte, at int64) (int, error) {
	f := h.f
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.ask(opWrite, h.name); err != nil {
		return 0, err
	}
	n := len(b)
	if f.capacity > 0 {
		free := f.capacity
		for _, file := range f.names {
			free -= int64(len(file.data))
		}
		// What replaces bytes that are there needs no room.
		n = int(min(int64(n), max(free+int64(len(h.file.data))-at, 0)))
	}
	h.file.data = writeAt(h.file.data, b[:n], at)
	f.ops = append(f.ops, fakeOp{op: opWrite, file: h.file.number, at: at, data: slices.Clone(b[:n])})
	if n < len(b) {
		return n, &fs.PathError{Op: opWrite, Path: h.name, Err: unix.ENOSPC}
	}
	return n, nil
}

// Truncate implements File.
func (h *fakeHandle) Truncate(size int64) error {
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	if err := h.f.ask(opTruncate, h.name); err != nil {
		return err
	}
	h.file.data = resize(h.file.data, size)
	h.f.ops = append(h.f.ops, fakeOp{op: opTruncate, file: h.file.number, at: size})
	return nil
}

// Sync implements File.
func (h *fakeHandle) Sync() error {
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	err := h.f.ask(opSync, h.name)
	h.f.ops = append(h.f.ops, fakeOp{op: opSync, file: h.file.number, failed: err != nil})
	return err
}

// String tells what was done, one operation a line.
func (f *Fake) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var b []byte
	for i, o := range f.ops {
		b = fmt.Appendf(b, "%d %s file %d %s %s at %d, %d bytes\n", i+1, o.op, o.file, o.name, o.to, o.at, len(o.data))
	}
	return string(b)
}

func resize(b []byte, size int64) []byte {
	if size <= int64(len(b)) {
		return b[:size:size]
	}
	return append(b, make([]byte, size-int64(len(b)))...)
}

func writeAt(b, data []byte, at int64) []byte {
	if end := at + int64(len(data)); end > int64(len(b)) && len(data) > 0 {
		b = resize(b, end)
	}
	copy(b[min(at, int64(len(b))):], data)
	return b
}
