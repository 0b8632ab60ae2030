//go:build !small && (amd64 || arm64 || arm.7)

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"lorawand/cmd/lorawand/config"
)

// highWater is the number of the last commit that this machine has seen in a bucket, in a file of its own. Servers
// that have lost commits, such as by a power cut, are noticed by it. It survives the end of the
// process, and but for the last second a power cut.
type highWater struct {
	f   *os.File // nil: it cannot be kept
	log *slog.Logger

	mu      sync.Mutex
	number  uint64
	syncing bool
}

// highWaterPath returns where it is.
func highWaterPath(c *config.Config) string {
	return filepath.Join(c.Store.Path, "jetstream-"+natsBucket(c))
}

// openHighWater opens it. One that cannot be read is no reason not to start.
func openHighWater(c *config.Config, log *slog.Logger) *highWater {
	h := &highWater{log: log}
	path := highWaterPath(c)
	text, err := os.ReadFile(path)
	if err == nil {
		h.number, err = strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = os.MkdirAll(c.Store.Path, 0o700)
	}
	if err == nil {
		h.f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	}
	if err != nil {
		log.Warn("what the servers lose is not noticed after a restart: the number of the last commit cannot be kept",
			"error", err)
	}
	return h
}

// saw notes a number. It does not wait for the disk.
func (h *highWater) saw(number uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.f == nil || number == h.number {
		return
	}
	h.number = number
	if _, err := h.f.WriteAt(fmt.Appendf(nil, "%020d\n", number), 0); err != nil {
		h.log.Warn("the number of the last commit cannot be kept", "error", err)
		return
	}
	if !h.syncing {
		h.syncing = true
		time.AfterFunc(time.Second, h.sync)
	}
}

func (h *highWater) sync() {
	h.mu.Lock()
	h.syncing = false
	f := h.f
	h.mu.Unlock()
	if f != nil {
		_ = f.Sync()
	}
}

// close closes the file.
func (h *highWater) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.f != nil {
		_ = h.f.Sync()
		_ = h.f.Close()
		h.f = nil
	}
}
