package admin

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"lorawand/bridge/access"
	"lorawand/bridge/session"
	"lorawand/bridge/state"
	"lorawand/bridge/store"
)

// CreateKeyArgs are the arguments of "key.create".
type CreateKeyArgs struct {
	Application string    `json:"application_id"`
	Name        string    `json:"name,omitempty"`
	Rights      string    `json:"rights,omitempty"` // as access.ParseRights reads them
	Expires     time.Time `json:"expires,omitzero"` // zero: never
	Import      string    `json:"import,omitempty"` // the text of a key that exists elsewhere
}

// NewKey is the answer of "key.create".
type NewKey struct {
	ID   string `json:"id"`
	Text string `json:"key"` // the whole, which is shown once

	NewApplication bool `json:"new_application,omitempty"` // the key is the first thing of its application
}

// maxKeyName bounds the name of a key, in bytes.
const maxKeyName = 100

// createKey makes an API key.
func (a *Admin) createKey(ctx context.Context, args CreateKeyArgs, r reply) error {
	if err := session.CheckID(args.Application); err != nil {
		return fmt.Errorf("application: %w", err)
	}
	rights, err := access.ParseRights(args.Rights)
	if err != nil {
		return err
	}
	if len(args.Name) > maxKeyName {
		return fmt.Errorf("name: %d bytes, at most %d", len(args.Name), maxKeyName)
	}
	text, k, err := makeKey(&args)
	if err != nil {
		return err
	}
	k.Name, k.Rights, k.Expires = args.Name, rights, args.Expires
	record, err := state.KeyRecord(k)
	if err != nil {
		return err
	}
	unlock, err := a.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if _, exists := a.o.Keys.Key(k.ID); exists {
		return access.ErrExists
	}
	exists, err := a.exists(ctx, k.Application)
	if err != nil {
		return err
	}
	if err := a.o.Store.Commit(record, state.DeleteKeyUse(k.ID)); err != nil {
		return err
	}
	if err := a.o.Keys.Add(k); err != nil {
		return err
	}
	a.log.Info("API key created", "application_id", k.Application, "key_id", k.ID, "rights", k.Rights.String())
	return r(NewKey{k.ID, text, !exists})
}

func makeKey(args *CreateKeyArgs) (string, access.Key, error) {
	if args.Import == "" {
		return access.New(rand.Reader, args.Application)
	}
	k, err := access.Import(rand.Reader, args.Application, args.Import)
	return args.Import, k, err
}

// Key is what "key.list" tells of an API key.
type Key struct {
	ID          string    `json:"id"`
	Application string    `json:"application_id"`
	Name        string    `json:"name,omitempty"`
	Rights      []string  `json:"rights"`
	Expires     time.Time `json:"expires,omitzero"`       // absent: never
	LastUse     string    `json:"last_used_on,omitempty"` // a day in UTC; absent: it is not known
}

// listKeys answers with every Key.
func (a *Admin) listKeys(_ context.Context, args ListArgs, r reply) error {
	for _, k := range a.o.Keys.Keys(args.Application) {
		out := Key{
			ID: k.ID, Application: k.Application, Name: k.Name,
			Rights: strings.Split(k.Rights.Names(), ","), Expires: k.Expires,
		}
		if day, ok := a.o.Keys.Used(k.ID); ok {
			out.LastUse = day.String()
		}
		if err := r(out); err != nil {
			return err
		}
	}
	return nil
}

// RevokeKeyArgs are the arguments of "key.revoke".
type RevokeKeyArgs struct {
	ID string `json:"id"`
}

// RevokedKey is the answer of "key.revoke".
type RevokedKey struct {
	Application  string `json:"application_id"`
	Disconnected int    `json:"disconnected"` // connections and sessions that have ended
}

// ErrNoKey is the reason for not revoking a key that does not exist.
var ErrNoKey = errors.New("no such API key")

// revokeKey removes an API key and closes the connections that use it.
func (a *Admin) revokeKey(ctx context.Context, args RevokeKeyArgs, r reply) error {
	unlock, err := a.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	k, ok := a.o.Keys.Key(args.ID)
	if !ok {
		return fmt.Errorf("%.60q: %w", args.ID, ErrNoKey)
	}
	if err := a.o.Store.Commit(store.Record{Kind: state.KindKey, Key: k.ID}, state.DeleteKeyUse(k.ID)); err != nil {
		return err
	}
	return r(RevokedKey{k.Application, a.revoked(k)})
}

// revoked removes a key that is no longer in the store. It returns how many
// connections and sessions have ended.
func (a *Admin) revoked(k access.Key) (n int) {
	a.o.Keys.Remove(k.ID)
	if a.o.Broker != nil {
		n = a.o.Broker.Disconnect(func(l access.Login) bool { return l.KeyID == k.ID })
	}
	a.log.Info("API key revoked", "application_id", k.Application, "key_id", k.ID, "disconnected", n)
	return n
}
