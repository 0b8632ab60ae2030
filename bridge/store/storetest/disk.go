package storetest

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"lorawand/bridge/store"
)

// Disk is a store.FS in memory. It records each operation that changes something,
// and After returns the disk as a power cut may leave it. A test can inject faults
// at any time.
type Disk struct {
	mu       sync.Mutex
	locked   bool
	names    map[string]*file
	start    map[string][]byte // the files before the first operation
	ops      []operation
	nextFile int
	fault    func(op, name string) error
	capacity int64 // bytes; 0: unlimited
	pads     bool
}

var _ store.FS = (*Disk)(nil)

// file is a file with any number of names.
type file struct {
	number int
	data   []byte
}

// Names of operations as a fault function gets them. "read" and "list" change
// nothing.
const (
	OpCreate   = "create"
	OpOpen     = "open"
	OpWrite    = "write"
	OpTruncate = "truncate"
	OpSync     = "sync"
	OpRename   = "rename"
	OpRemove   = "remove"
	OpSyncDir  = "syncdir"
	OpRead     = "read"
	OpList     = "list"
)

// operation is an operation that changed something.
type operation struct {
	op, name, to string
	file         int
	at           int64 // of a write; for a truncation the new size
	data         []byte
	failed       bool // of a sync
}

// NewDisk returns a disk with these files. files may be nil.
func NewDisk(files map[string][]byte) *Disk {
	f := &Disk{names: map[string]*file{}, start: map[string][]byte{}}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f.start[name] = slices.Clone(files[name])
		f.names[name] = f.newFile(slices.Clone(files[name]))
	}
	return f
}

// Pad has journals be written as in a folder of the operating system that takes whole sectors: what
// is in the last sector is written again with what follows, and bytes 0xff fill the new last one.
func (f *Disk) Pad() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pads = true
}

func (f *Disk) newFile(data []byte) *file {
	f.nextFile++
	return &file{number: f.nextFile, data: data}
}

// Fail sets a function that returns an error, or nil, before each operation. After
// a sync that fails it is open which bytes are on the disk.
func (f *Disk) Fail(fault func(op, name string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

// SetCapacity limits the size of all files together, in bytes; 0 is no limit. A
// write beyond it writes the bytes that fit.
func (f *Disk) SetCapacity(n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.capacity = n
}

// SetReadOnly makes all changes fail, or succeed again. It replaces the function of
// Fail.
func (f *Disk) SetReadOnly(yes bool) {
	if !yes {
		f.Fail(nil)
		return
	}
	f.Fail(func(op, _ string) error {
		if op == OpRead || op == OpList {
			return nil
		}
		return unix.EROFS
	})
}

// Ops returns how many operations changed something.
func (f *Disk) Ops() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.ops)
}

// Files returns the present content of the folder.
func (f *Disk) Files() map[string][]byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	files := map[string][]byte{}
	for name, file := range f.names {
		files[name] = slices.Clone(file.data)
	}
	return files
}

func (f *Disk) ask(op, name string) error {
	if f.fault != nil {
		if err := f.fault(op, name); err != nil {
			return &fs.PathError{Op: op, Path: name, Err: err}
		}
	}
	return nil
}

func (f *Disk) find(op, name string) (*file, error) {
	if err := f.ask(op, name); err != nil {
		return nil, err
	}
	file := f.names[name]
	if file == nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return file, nil
}

// Lock implements store.FS.
func (f *Disk) Lock() (io.Closer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.locked {
		return nil, store.ErrLocked
	}
	f.locked = true
	return diskLock{f}, nil
}

type diskLock struct{ f *Disk }

func (l diskLock) Close() error {
	l.f.mu.Lock()
	defer l.f.mu.Unlock()
	l.f.locked = false
	return nil
}

// List implements store.FS.
func (f *Disk) List() ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.names)), f.ask(OpList, "")
}

// ReadFile implements store.FS.
func (f *Disk) ReadFile(name string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	file, err := f.find(OpRead, name)
	if err != nil {
		return nil, err
	}
	return slices.Clone(file.data), nil
}

// Create implements store.FS.
func (f *Disk) Create(name string) (store.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.ask(OpCreate, name); err != nil {
		return nil, err
	}
	file := f.names[name]
	if file == nil {
		file = f.newFile(nil)
		f.names[name] = file
		f.ops = append(f.ops, operation{op: OpCreate, name: name, file: file.number})
	} else {
		file.data = nil
		f.ops = append(f.ops, operation{op: OpTruncate, file: file.number})
	}
	return &handle{f, file, name, int64(len(file.data))}, nil
}

// Open implements store.FS.
func (f *Disk) Open(name string) (store.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	file, err := f.find(OpOpen, name)
	if err != nil {
		return nil, err
	}
	return &handle{f, file, name, int64(len(file.data))}, nil
}

// Rename implements store.FS.
func (f *Disk) Rename(from, to string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	file, err := f.find(OpRename, from)
	if err != nil {
		return err
	}
	delete(f.names, from)
	f.names[to] = file
	f.ops = append(f.ops, operation{op: OpRename, name: from, to: to, file: file.number})
	return nil
}

// Remove implements store.FS.
func (f *Disk) Remove(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.find(OpRemove, name); err != nil {
		return err
	}
	delete(f.names, name)
	f.ops = append(f.ops, operation{op: OpRemove, name: name})
	return nil
}

// SyncDir implements store.FS.
func (f *Disk) SyncDir() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.ask(OpSyncDir, "")
	f.ops = append(f.ops, operation{op: OpSyncDir, failed: err != nil})
	return err
}

type handle struct {
	f    *Disk
	file *file
	name string // at the time when it was opened
	end  int64  // of what is in it but padding
}

func (h *handle) Close() error { return nil }

// WriteAt implements store.File.
func (h *handle) WriteAt(b []byte, at int64) (int, error) {
	f := h.f
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.ask(OpWrite, h.name); err != nil {
		return 0, err
	}
	if !f.pads || !strings.HasPrefix(h.name, "journal") {
		return h.write(b, at)
	}
	from := max(h.end-1, 0) / sectorSize * sectorSize
	whole := append(resize(slices.Clone(h.file.data[from:h.end]), at-from), b...)
	for len(whole)%sectorSize != 0 {
		whole = append(whole, 0xff)
	}
	n, err := h.write(whole, from)
	if err != nil {
		return int(min(max(int64(n)-(at-from), 0), int64(len(b)))), err
	}
	h.end = at + int64(len(b))
	return len(b), nil
}

// write writes as much as there is room for. The lock is held.
func (h *handle) write(b []byte, at int64) (int, error) {
	f := h.f
	n := len(b)
	if f.capacity > 0 {
		free := f.capacity
		for _, file := range f.names {
			free -= int64(len(file.data))
		}
		// Bytes that replace others need no room.
		n = int(min(int64(n), max(free+int64(len(h.file.data))-at, 0)))
	}
	h.file.data = writeAt(h.file.data, b[:n], at)
	f.ops = append(f.ops, operation{op: OpWrite, file: h.file.number, at: at, data: slices.Clone(b[:n])})
	if n < len(b) {
		return n, &fs.PathError{Op: OpWrite, Path: h.name, Err: unix.ENOSPC}
	}
	return n, nil
}

// Truncate implements store.File.
func (h *handle) Truncate(size int64) error {
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	if err := h.f.ask(OpTruncate, h.name); err != nil {
		return err
	}
	h.file.data, h.end = resize(h.file.data, size), size
	h.f.ops = append(h.f.ops, operation{op: OpTruncate, file: h.file.number, at: size})
	return nil
}

// Sync implements store.File.
func (h *handle) Sync() error {
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	err := h.f.ask(OpSync, h.name)
	h.f.ops = append(h.f.ops, operation{op: OpSync, file: h.file.number, failed: err != nil})
	return err
}

// String returns the operations, one in each line.
func (f *Disk) String() string {
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
