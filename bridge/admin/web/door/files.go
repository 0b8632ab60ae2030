//go:build !small

package door

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

// Files serves the files of the page. Each is compressed when somebody first asks for
// it, and kept so.
type Files struct {
	root fs.FS

	mu   sync.Mutex
	kept map[string]*file
}

// file is one as it is sent.
type file struct {
	kind  string // Content-Type
	tag   string // ETag: of its content, so that each build has its own
	plain []byte
	small []byte // gzip
}

// NewFiles returns the files below a root.
func NewFiles(root fs.FS) *Files { return &Files{root: root, kept: map[string]*file{}} }

// kinds are those that the system's list may know under other names.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
	".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8", ".json": "application/json", ".png": "image/png",
	".webmanifest": "application/manifest+json",
}

// find returns a file by its name; nil: there is none.
func (f *Files) find(name string) *file {
	f.mu.Lock()
	defer f.mu.Unlock()
	if kept := f.kept[name]; kept != nil {
		return kept
	}
	b, err := fs.ReadFile(f.root, name)
	if err != nil {
		return nil
	}
	sum := sha256.Sum256(b)
	ext := path.Ext(name)
	out := &file{kind: kinds[ext], plain: b, tag: `"` + hex.EncodeToString(sum[:8]) + `"`}
	if out.kind == "" {
		out.kind = mime.TypeByExtension(ext)
	}
	var packed bytes.Buffer
	z, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression) // the level is valid
	_, _ = z.Write(b)
	_ = z.Close()
	if packed.Len() < len(b) {
		out.small = packed.Bytes()
	}
	f.kept[name] = out
	return out
}

// ServeHTTP answers a request for a file.
func (f *Files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "only GET", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	if name == "" {
		name = "index.html"
	}
	one := f.find(name)
	if one == nil {
		http.Error(w, "no such page", http.StatusNotFound)
		return
	}
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", one.tag)
	h.Set("Vary", "Accept-Encoding")
	if strings.Contains(r.Header.Get("If-None-Match"), one.tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := one.plain
	if one.small != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		body = one.small
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Type", one.kind)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(body)
	}
}
