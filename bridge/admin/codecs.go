package admin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"lorawand/bridge/codec"
	"lorawand/bridge/session"
	"lorawand/bridge/state"
	"lorawand/bridge/store"
)

// PutCodecsArgs are the arguments of "codec.put".
type PutCodecsArgs struct {
	Models []*codec.Model `json:"models"`
	Codecs []*codec.Codec `json:"codecs"`
}

// putCodecs takes models with their codecs, all or none, in the place of those with
// their names. It answers with a SetNote for each kind of device that still lacks a
// codec.
func (a *Admin) putCodecs(ctx context.Context, args PutCodecsArgs, r reply) error {
	if slices.Contains(args.Models, nil) || slices.Contains(args.Codecs, nil) {
		return fmt.Errorf("%w: null", codec.ErrInvalid)
	}
	unlock, err := a.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := a.o.Codecs.Fits(args.Models, args.Codecs); err != nil {
		return err
	}
	records, err := state.CodecRecords(args.Models, args.Codecs)
	if err != nil {
		return err
	}
	var gone []string
	for _, key := range a.o.Codecs.Replaced(args.Models) {
		if !slices.ContainsFunc(args.Codecs, func(c *codec.Codec) bool { return c.Key() == key }) {
			gone = append(gone, key)
			records = append(records, store.Record{Kind: state.KindCodec, Key: key})
		}
	}
	if len(records) == 0 {
		return nil
	}
	if err := a.o.Store.Commit(records...); err != nil {
		return err
	}
	a.o.Codecs.Put(args.Models, args.Codecs)
	a.o.Codecs.Remove(nil, gone)
	a.log.Info("codecs imported", "models", len(args.Models), "codecs", len(args.Codecs))
	return a.tellFormatters(ctx, "", r)
}

// Model is what "codec.list" tells of a model.
type Model struct {
	codec.Model
	Codecs  int `json:"codecs"`  // that it has for its versions
	Bytes   int `json:"bytes"`   // of their scripts
	Devices int `json:"devices"` // of this model
}

// listCodecs answers with every Model.
func (a *Admin) listCodecs(ctx context.Context, _ struct{}, r reply) error {
	devices := map[string]int{}
	err := a.o.Bridge.Devices(ctx, "", func(d *session.Device) error {
		devices[d.VersionIDs.Brand+"/"+d.VersionIDs.Model]++
		return nil
	})
	if err != nil {
		return err
	}
	for _, m := range a.o.Codecs.Models() {
		out := Model{Model: *m, Devices: devices[m.Key()]}
		keys := map[string]bool{}
		for _, v := range m.Versions {
			for _, key := range v.Codecs {
				keys[key] = true
			}
		}
		for key := range maps.Keys(keys) {
			if c := a.o.Codecs.Codec(key); c != nil {
				out.Codecs++
				out.Bytes += c.Bytes()
			}
		}
		if err := r(out); err != nil {
			return err
		}
	}
	return nil
}

// DeleteCodecsArgs are the arguments of "codec.delete".
type DeleteCodecsArgs struct {
	Name string `json:"name"` // "brand/model", or a brand
}

// DeletedCodecs is the answer of "codec.delete".
type DeletedCodecs struct {
	Models int `json:"models"`
	Codecs int `json:"codecs"`
}

// ErrNoModel is the reason for not deleting the codec of a model that is not there.
var ErrNoModel = errors.New("no codec of such a brand or model was imported")

// deleteCodecs removes models, and the codecs that no other model has.
func (a *Admin) deleteCodecs(ctx context.Context, args DeleteCodecsArgs, r reply) error {
	unlock, err := a.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	models, codecs := a.o.Codecs.Of(args.Name)
	if len(models) == 0 {
		return fmt.Errorf("%.80q: %w", args.Name, ErrNoModel)
	}
	var records []store.Record
	for _, key := range models {
		records = append(records, store.Record{Kind: state.KindModel, Key: key})
	}
	for _, key := range codecs {
		records = append(records, store.Record{Kind: state.KindCodec, Key: key})
	}
	if err := a.o.Store.Commit(records...); err != nil {
		return err
	}
	a.o.Codecs.Remove(models, codecs)
	a.log.Info("codecs deleted", "models", len(models), "codecs", len(codecs))
	return r(DeletedCodecs{len(models), len(codecs)})
}
