package store

import (
	"errors"
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sector is what a disk writes at least, in bytes. One that writes more at a time refuses less.
const sector = 512

// directFile is a file that is written to past the cache of the kernel, in sectors: a commit of some
// hundred bytes is written as such, and not as a whole page of the cache. The last sector is filled
// with padding, and written again with what follows. Where the file system cannot do that, it is
// written as any other file.
type directFile struct {
	*os.File          // for all but writing
	direct   *os.File // nil: it cannot be written to directly

	at   int64  // where the last sector begins
	last []byte // what is in it
	buf  []byte // aligned to a page
}

// openDirect opens a file for both.
func openDirect(path string, flags int) (File, error) {
	f, err := os.OpenFile(path, flags|os.O_RDWR, fileMode)
	if err != nil {
		return nil, err
	}
	d := &directFile{File: f}
	if d.direct, err = os.OpenFile(path, os.O_WRONLY|unix.O_DIRECT, 0); err != nil {
		return f, nil
	}
	if err := d.load(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// load reads the last sector.
func (f *directFile) load() error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	f.at = max(st.Size()-1, 0) / sector * sector
	f.last = make([]byte, st.Size()-f.at, sector)
	if _, err := f.ReadAt(f.last, f.at); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// WriteAt implements File.
func (f *directFile) WriteAt(b []byte, at int64) (n int, err error) {
	for len(b) > n && f.direct != nil && at >= f.at && at-f.at < sector+pageSize {
		wrote, err := f.write(b[n:min(len(b), n+directSize)], at)
		n, at = n+wrote, at+int64(wrote)
		if err != nil && (wrote > 0 || !errors.Is(err, unix.EINVAL)) {
			return n, err
		}
		if err != nil { // its sectors are larger, or it cannot do that after all
			break
		}
	}
	if n == len(b) {
		return n, nil
	}
	wrote, err := f.cached(b[n:], at)
	return n + wrote, err
}

// directSize is how many bytes are written at a time: more than a commit usually has.
const directSize = 8 << 10

// write writes up to directSize bytes, at most a page behind the last sector: what is in that, zeros
// that fill the gap, the bytes, and padding up to a whole number of sectors.
func (f *directFile) write(b []byte, at int64) (int, error) {
	if f.buf == nil {
		f.buf = aligned(directSize + pageSize + 2*sector)
	}
	before := int(at - f.at)
	clear(f.buf[copy(f.buf[:before], f.last):before])
	end := before + copy(f.buf[before:], b)
	size := (end + sector - 1) / sector * sector
	for i := end; i < size; i++ {
		f.buf[i] = padding
	}
	if n, err := f.direct.WriteAt(f.buf[:size], f.at); err != nil {
		return min(max(n-before, 0), len(b)), err
	}
	last := (end - 1) / sector * sector
	f.at += int64(last)
	f.last = append(f.last[:0], f.buf[last:end]...)
	return len(b), nil
}

// aligned returns memory that begins at a page, as the kernel wants it for direct writing.
func aligned(n int) []byte {
	b := make([]byte, n+pageSize)
	skip := pageSize - int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))%pageSize)
	return b[skip : skip+n]
}

// cached writes as to any other file, and so from now on.
func (f *directFile) cached(b []byte, at int64) (int, error) {
	if f.direct != nil {
		_ = f.direct.Close()
		f.direct = nil
	}
	return f.File.WriteAt(b, at)
}

// Truncate implements File.
func (f *directFile) Truncate(size int64) error {
	if err := f.File.Truncate(size); err != nil || f.direct == nil {
		return err
	}
	return f.load()
}

// Close implements File. The padding stays: it is no commit.
func (f *directFile) Close() error {
	if f.direct == nil {
		return f.File.Close()
	}
	return errors.Join(f.direct.Close(), f.File.Close())
}
