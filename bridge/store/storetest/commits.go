package storetest

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"lorawand/bridge/store"
)

// Commits is a store in memory that can be made to fail or to hang. The zero value
// works. It may be used by several goroutines.
type Commits struct {
	// Block, if it is not nil, delays each commit until a value is received from
	// it.
	Block chan struct{}

	mu      sync.Mutex
	commits [][]store.Record
	err     error
	delay   time.Duration
}

// Slow makes each commit from now on take so long.
func (c *Commits) Slow(delay time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.delay = delay
}

// Commit keeps the records, or returns the error that was given to Fail.
func (c *Commits) Commit(records ...store.Record) error {
	if c.Block != nil {
		<-c.Block
	}
	c.mu.Lock()
	delay := c.delay
	c.mu.Unlock()
	time.Sleep(delay)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	c.commits = append(c.commits, records)
	return nil
}

// Fail makes each commit from now on fail; nil makes them work again.
func (c *Commits) Fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

// Count returns how many commits there were, and how many records were in them.
func (c *Commits) Count() (commits, records int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.commits {
		records += len(r)
	}
	return len(c.commits), records
}

// State returns the records after all commits as "kind/key=data", sorted and
// separated by blanks.
func (c *Commits) State() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := map[string]string{}
	for _, commit := range c.commits {
		for _, r := range commit {
			if delete(m, r.Kind+"/"+r.Key); r.Data != nil {
				m[r.Kind+"/"+r.Key] = string(r.Data)
			}
		}
	}
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, k+"="+m[k])
	}
	return strings.Join(out, " ")
}
