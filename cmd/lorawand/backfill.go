//go:build !small

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"lorawand/bridge/admin/problems"
	"lorawand/bridge/forward"
	"lorawand/bridge/store"
	"lorawand/bridge/upstream/backfill"
	"lorawand/bridge/upstream/journal"
	"lorawand/bridge/v3"
	"lorawand/cmd/lorawand/config"
)

// backfills post the messages of outages to other servers.
type backfills struct {
	list []*backfill.Backfill
	of   map[string]forward.Watcher // by the server of a [[forward]]
}

// newBackfills opens the journals.
func newBackfills(c *config.Config, d *daemon) (*backfills, error) {
	b := &backfills{of: map[string]forward.Watcher{}}
	for i := range c.Backfills {
		conf := &c.Backfills[i]
		one, err := newBackfill(c, conf, d)
		if err != nil {
			return nil, err
		}
		b.list = append(b.list, one)
		b.of[conf.Forward] = append(watchersOf(b.of[conf.Forward]), one)
	}
	return b, nil
}

func newBackfill(c *config.Config, b *config.Backfill, d *daemon) (*backfill.Backfill, error) {
	folder, err := store.Folder(filepath.Join(c.Store.Path, backfillFolder, b.Folder()))
	if err != nil {
		return nil, err
	}
	to, err := url.Parse(b.URL)
	if err != nil {
		return nil, err
	}
	host, port, secure := b.Address()
	address, files := net.JoinHostPort(host, port), &config.Upstream{CAFile: b.CAFile}
	if _, err := upstreamTLS(files, host, d.calendar); err != nil {
		return nil, err
	}
	key := func() (string, error) { return readKey(b.KeyFile) }
	if _, err := key(); err != nil {
		return nil, err
	}
	return backfill.New(backfill.Options{
		Name: b.Name, Applications: b.Applications, Rate: b.BackfillRate, Agent: "lorawand/" + version, URL: to, Key: key,
		Folder: folder, Journal: journal.Options{Bytes: b.Journal.Bytes(), Age: b.JournalAge.D()},
		Commit: c.Store.CommitInterval.D(), Calendar: d.calendar, Logger: d.log,
		Dial: func(ctx context.Context) (net.Conn, error) {
			if !secure {
				return new(net.Dialer).DialContext(ctx, "tcp", address)
			}
			config, err := upstreamTLS(files, host, d.calendar) // the file may be a newer one
			if err != nil {
				return nil, err
			}
			return (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
		},
	})
}

// readKey reads the API key of another server.
func readKey(name string) (string, error) {
	const most = 1 << 10
	text, err := os.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("API key: %w", err)
	}
	key := strings.TrimSpace(string(text))
	if key == "" || len(key) > most || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("API key: %s must have the key in one line, and nothing else", name)
	}
	return key, nil
}

// watchers are told together.
type watchers []forward.Watcher

func watchersOf(w forward.Watcher) watchers {
	if list, ok := w.(watchers); ok {
		return list
	}
	return nil
}

// Handed implements forward.Watcher.
func (w watchers) Handed(phy []byte) {
	for _, one := range w {
		one.Handed(phy)
	}
}

// Sent implements forward.Watcher.
func (w watchers) Sent(phy []byte) {
	for _, one := range w {
		one.Sent(phy)
	}
}

// Acknowledged implements forward.Watcher.
func (w watchers) Acknowledged(phy []byte) {
	for _, one := range w {
		one.Acknowledged(phy)
	}
}

// Answered implements forward.Watcher.
func (w watchers) Answered() {
	for _, one := range w {
		one.Answered()
	}
}

// publish takes what is published.
func (b *backfills) publish(m v3.Message) {
	for _, one := range b.list {
		one.Publish(m)
	}
}

// run works until ctx ends.
func (b *backfills) run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, one := range b.list {
		wg.Go(func() { _ = one.Run(ctx) })
	}
	<-ctx.Done()
	wg.Wait()
	return nil
}

// problems tells of them what can be wrong.
func (b *backfills) problems() (out []problems.Upstream) {
	for _, one := range b.list {
		s := one.Status()
		out = append(out, problems.Upstream{
			Name: s.Name, Backfill: true, Connected: s.Error == "", Since: time.Since(s.Since), Error: s.Error, Sent: s.Posted,
			Waiting: s.Journal.Messages + int64(s.Waiting), Lost: s.Journal.Lost + int64(s.Lost), Refused: s.Refused,
			Elsewhere: s.Elsewhere, Fault: s.Fault,
		})
	}
	return out
}
