package store

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// FS is the part of a file system that a Store needs: one folder. Names hold no
// separator. A missing file is fs.ErrNotExist. Two goroutines call its methods and
// those of its files.
//
// The bytes of a file survive a power cut once File.Sync has returned nil, and a
// name survives once SyncDir has. Before that a power cut may lose them in any
// order.
type FS interface {
	Lock() (io.Closer, error) // ErrLocked if another process holds the lock
	List() ([]string, error)
	ReadFile(name string) ([]byte, error)
	Create(name string) (File, error) // an empty file, for writing
	Open(name string) (File, error)   // for writing
	Rename(from, to string) error     // replaces a file with the name to
	Remove(name string) error
	SyncDir() error
}

// File is a file that is open for writing.
type File interface {
	io.WriterAt // also behind the end: zeros fill the gap
	Truncate(size int64) error
	Sync() error
	Close() error
}

const (
	lockName   = "lock"
	folderMode = 0o700
	fileMode   = 0o600
)

// osFS is a folder of the operating system.
type osFS struct{ dir string }

var _ FS = osFS{}

func (f osFS) path(name string) string { return filepath.Join(f.dir, name) }

// Lock implements FS. On a read-only file system it uses the lock file that is
// there.
func (f osFS) Lock() (io.Closer, error) {
	l, err := os.OpenFile(f.path(lockName), os.O_RDWR|os.O_CREATE, fileMode)
	if errors.Is(err, unix.EROFS) {
		l, err = os.Open(f.path(lockName))
	}
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(l.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		l.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, ErrLocked
		}
		return nil, err
	}
	return l, nil
}

func (f osFS) List() ([]string, error) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, nil
}

func (f osFS) ReadFile(name string) ([]byte, error) { return os.ReadFile(f.path(name)) }
func (f osFS) Rename(from, to string) error         { return os.Rename(f.path(from), f.path(to)) }
func (f osFS) Remove(name string) error             { return os.Remove(f.path(name)) }

func (f osFS) Create(name string) (File, error) {
	return f.open(name, os.O_CREATE|os.O_TRUNC)
}

func (f osFS) Open(name string) (File, error) { return f.open(name, 0) }

func (f osFS) open(name string, flags int) (File, error) {
	if what, _ := parseName(strings.TrimSuffix(name, endingNew)); what == isJournal {
		return openDirect(f.path(name), flags)
	}
	file, err := os.OpenFile(f.path(name), os.O_WRONLY|flags, fileMode)
	if err != nil {
		return nil, err
	}
	return file, nil
}

func (f osFS) SyncDir() error { return syncFolder(f.dir) }

// syncFolder syncs the names in a folder. File systems without such a sync return
// EINVAL, which is no error here.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, unix.EINVAL) {
		err = nil
	}
	return errors.Join(err, d.Close())
}

// makeFolder makes a folder and its parents, and syncs their names.
func makeFolder(dir string) error {
	var above []string
	for d := filepath.Clean(dir); filepath.Dir(d) != d; d = filepath.Dir(d) {
		if _, err := os.Stat(d); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		above = append(above, filepath.Dir(d))
	}
	if err := os.MkdirAll(dir, folderMode); err != nil {
		return err
	}
	for _, d := range above {
		if err := syncFolder(d); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return nil
}

// Folder returns a folder of the operating system, which it makes if there is none.
func Folder(dir string) (FS, error) {
	if err := makeFolder(dir); err != nil {
		return nil, err
	}
	return osFS{dir}, nil
}

// Room is what the file system of a folder has.
type Room struct {
	Free     int64 // bytes
	InMemory bool  // a restart empties it
}

// RoomOf returns that of a folder.
func RoomOf(dir string) (Room, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return Room{}, err
	}
	return Room{int64(st.Bavail) * int64(st.Bsize), errors.Is(checkFileSystem(dir), ErrEphemeral)}, nil
}

// checkFileSystem returns ErrEphemeral for a folder in memory, which a restart
// empties.
func checkFileSystem(dir string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return err
	}
	// The field Type has 32 bits; whether it is signed depends on the CPU.
	if t := uint32(st.Type); t == unix.TMPFS_MAGIC || t == unix.RAMFS_MAGIC {
		return ErrEphemeral
	}
	return nil
}

// noSpace reports whether an error goes away when files are removed.
func noSpace(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// wear counts the bytes that are written.
type wear struct {
	bytes atomic.Int64 // handed to the file system
	flash atomic.Int64 // bytes of the pages touched between two syncs, whole pages
}

// output is a file that is written from beginning to end.
type output struct {
	f     File
	wear  *wear
	end   int64 // where the next bytes are written
	dirty int64 // the first byte that is not synced; end: all bytes are
}

// write writes at an offset that is not before the end.
func (o *output) write(b []byte, at int64) error {
	n, err := o.f.WriteAt(b, at)
	o.wear.bytes.Add(int64(n))
	if o.dirty == o.end {
		o.dirty = at
	}
	if err != nil {
		o.wear.flash.Add(pages(o.dirty, at+int64(n)) * pageSize)
		return err
	}
	o.end = at + int64(n)
	return nil
}

func (o *output) sync() error {
	o.wear.flash.Add(pages(o.dirty, o.end) * pageSize)
	o.dirty = o.end
	return o.f.Sync()
}

func (o *output) writeSynced(b []byte) error {
	if err := o.write(b, o.end); err != nil {
		return err
	}
	return o.sync()
}

// cut shortens the file to its old size.
func (o *output) cut(end int64) error {
	o.end, o.dirty = end, end
	return o.f.Truncate(end)
}
