package web

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"lorawand/bridge/access"
	"lorawand/bridge/admin"
	"lorawand/bridge/admin/web/password"
	"lorawand/bridge/state"
	"lorawand/bridge/store"
)

// SetPassword is the operation that sets the password of the page.
const SetPassword = "page.password"

const (
	passwordKey     = "password" // of the record
	passwordVersion = 1
	hashTime        = 30 * time.Second // for the operation, on the slowest machine under load
)

// Store has the methods of a store that Passwords uses; see store.Store.
type Store interface {
	Commit(records ...store.Record) error
	Records(kind string) []store.Record
}

// Passwords holds what is stored of the password of the page.
type Passwords struct {
	store   Store
	changed func() // is called when there is another one; nil: nobody is
	// hashing is full while a password is hashed or compared: that takes memory.
	hashing chan struct{}

	mu   sync.Mutex
	hash string
}

// NewPasswords reads what is stored, and adds the operation SetPassword to the table of
// an Admin.
func NewPasswords(a *admin.Admin, s Store) *Passwords {
	p := &Passwords{store: s, hashing: make(chan struct{}, 1)}
	for _, r := range s.Records(state.KindPage) {
		if r.Key == passwordKey && r.Version == passwordVersion {
			p.hash = string(r.Data)
		}
	}
	a.Add(SetPassword, admin.Operation{
		Run: admin.Decoding(p.set), Right: admin.Right{Rights: access.All}, Limit: hashTime,
	})
	return p
}

// PasswordArgs are the arguments of "page.password".
type PasswordArgs struct {
	Password string `json:"password,omitempty"`
	Off      bool   `json:"off,omitempty"` // there is to be none
}

var errBoth = errors.New("either a password, or none")

// set stores another password. All sessions end.
func (p *Passwords) set(ctx context.Context, args PasswordArgs, _ func(any) error) error {
	if args.Off && args.Password != "" {
		return errBoth
	}
	hash := ""
	record := store.Record{Kind: state.KindPage, Key: passwordKey}
	if !args.Off {
		release, err := p.turn(ctx)
		if err != nil {
			return err
		}
		hash, err = password.Hash(args.Password)
		release()
		if err != nil {
			return err
		}
		record.Version, record.Data = passwordVersion, []byte(hash)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.store.Commit(record); err != nil {
		return err
	}
	p.hash = hash
	if p.changed != nil {
		p.changed()
	}
	return nil
}

// turn waits until no other password is hashed or compared. The caller calls release.
func (p *Passwords) turn(ctx context.Context) (release func(), err error) {
	select {
	case p.hashing <- struct{}{}:
		return func() { <-p.hashing }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("others log in just now: %w", ctx.Err())
	}
}

// stored returns what is stored of the password; "" is none.
func (p *Passwords) stored() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hash
}

// whileStill calls f unless another password was stored meanwhile.
func (p *Passwords) whileStill(hash string, f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hash == hash {
		f()
	}
}
