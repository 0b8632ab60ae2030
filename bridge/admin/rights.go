package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"lorawand/bridge/access"
)

// Right is what an API key needs for an operation. The control socket asks for none:
// who may write to its file owns the daemon.
type Right struct {
	Rights access.Rights
	// Application says that the operation is one on an application, so that its
	// arguments must name the key's: application_id. The others concern the host with
	// all its applications; only a key with all rights changes something there.
	Application bool
}

// Reasons for refusing an operation to an API key.
var (
	ErrRights      = errors.New("the API key lacks a right")
	ErrApplication = errors.New("the API key is one of another application")
	ErrHost        = fmt.Errorf("%w: this takes the password of the page", ErrApplication)
)

// RightOf returns what an operation needs, and false if it does not exist.
func RightOf(op string) (Right, bool) {
	o, ok := operations[op]
	return o.right, ok
}

// Needs is RightOf for the operations of Add too.
func (a *Admin) Needs(op string) (Right, bool) {
	o, ok := a.find(op)
	return o.right, ok
}

// CallAs is Call for who has logged in with an API key, which shares the gateway with others. It
// returns ErrRights, ErrApplication or sharing.ErrBusy before anything is done.
func (a *Admin) CallAs(
	ctx context.Context, who access.Login, op string, args any, each func(json.RawMessage) error,
) error {
	raw, err := json.Marshal(args)
	if err != nil {
		return fmt.Errorf("admin: %s: %w", op, err)
	}
	if err := a.permit(who, op, raw); err != nil {
		return err
	}
	o, _ := a.find(op)
	if err := a.sharing.Pace(ctx, who.Application, o.right.Rights, len(raw)); err != nil {
		return err
	}
	if o.limit == long {
		done, err := a.sharing.Turn(ctx, who.Application)
		if err != nil {
			return err
		}
		defer done()
	}
	return a.Call(ctx, op, json.RawMessage(raw), each)
}

// permit returns why who may not carry out an operation, or nil.
func (a *Admin) permit(who access.Login, op string, args json.RawMessage) error {
	found, ok := a.find(op)
	if !ok {
		return fmt.Errorf("%w: %.40q", ErrOperation, op)
	}
	need := found.right
	if !who.Rights.Has(need.Rights) {
		return fmt.Errorf("%w: %s needs %s", ErrRights, op, need.Rights)
	}
	if !need.Application {
		return nil
	}
	var named struct {
		Application string `json:"application_id"`
	}
	if err := json.Unmarshal(args, &named); err != nil {
		return fmt.Errorf("arguments: %w", err)
	}
	if named.Application == "" || named.Application != who.Application {
		return fmt.Errorf("%w: %.60q", ErrApplication, named.Application)
	}
	return nil
}
