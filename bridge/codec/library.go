package codec

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Limits of a Library. Its scripts are in memory, and on the flash of a gateway.
const (
	MaxCodecs = 256
	MaxModels = 512
	MaxBytes  = 2 << 20 // of all scripts together
)

// ErrFull is the reason for not taking codecs into a Library.
var ErrFull = errors.New("too many codecs")

// Library holds the codecs that were imported. It may be used by several
// goroutines. What it returns must not be changed.
type Library struct {
	mu     sync.RWMutex
	models map[string]*Model
	codecs map[string]*Codec
	change uint64 // counts changes
}

// NewLibrary returns an empty Library.
func NewLibrary() *Library {
	return &Library{models: map[string]*Model{}, codecs: map[string]*Codec{}}
}

// Fits returns ErrInvalid or ErrFull if Put could not take these.
func (l *Library) Fits(models []*Model, codecs []*Codec) error {
	for _, m := range models {
		if err := m.Check(); err != nil {
			return err
		}
	}
	for _, c := range codecs {
		if err := c.Check(); err != nil {
			return err
		}
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	allModels, allCodecs := maps.Clone(l.models), maps.Clone(l.codecs)
	add(allModels, models, allCodecs, codecs)
	bytes := 0
	for _, c := range allCodecs {
		bytes += c.Bytes()
	}
	if len(allModels) > MaxModels || len(allCodecs) > MaxCodecs || bytes > MaxBytes {
		return fmt.Errorf("%w: they would be %d models with %d codecs of %d kB, at most %d with %d of %d kB; "+
			"import only what you have devices of (--needed), or delete others",
			ErrFull, len(allModels), len(allCodecs), bytes>>10, MaxModels, MaxCodecs, MaxBytes>>10)
	}
	for _, m := range models {
		for _, v := range m.Versions {
			for _, key := range v.Codecs {
				if allCodecs[key] == nil {
					return fmt.Errorf("%w: model %s: its codec %s is missing", ErrInvalid, m.Key(), key)
				}
			}
		}
	}
	return nil
}

func add(models map[string]*Model, moreModels []*Model, codecs map[string]*Codec, moreCodecs []*Codec) {
	for _, m := range moreModels {
		models[m.Key()] = m
	}
	for _, c := range moreCodecs {
		codecs[c.Key()] = c
	}
}

// Put takes models and codecs, in the place of those with their names.
func (l *Library) Put(models []*Model, codecs []*Codec) {
	l.mu.Lock()
	defer l.mu.Unlock()
	add(l.models, models, l.codecs, codecs)
	l.change++
}

// Remove takes models and codecs out, by their keys.
func (l *Library) Remove(models, codecs []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, key := range models {
		delete(l.models, key)
	}
	for _, key := range codecs {
		delete(l.codecs, key)
	}
	l.change++
}

// Of returns the keys of the model "brand/model", or of all models of a brand, and
// of the codecs that no other model has.
func (l *Library) Of(name string) (models, codecs []string) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	rest := maps.Clone(l.models)
	for key := range l.models {
		if key == name || strings.HasPrefix(key, name+"/") {
			models = append(models, key)
			delete(rest, key)
		}
	}
	if len(models) == 0 {
		return nil, nil
	}
	slices.Sort(models)
	return models, l.unused(rest)
}

// Replaced returns the keys of the codecs that no model has once these are put.
func (l *Library) Replaced(by []*Model) (codecs []string) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	models := maps.Clone(l.models)
	for _, m := range by {
		models[m.Key()] = m
	}
	return l.unused(models)
}

// unused returns the keys of the codecs that none of the models has.
func (l *Library) unused(models map[string]*Model) []string {
	rest := map[string]bool{}
	for key := range l.codecs {
		rest[key] = true
	}
	for _, m := range models {
		for _, v := range m.Versions {
			for _, codec := range v.Codecs {
				delete(rest, codec)
			}
		}
	}
	return slices.Sorted(maps.Keys(rest))
}

// Models returns all models, sorted by their keys.
func (l *Library) Models() []*Model {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return slices.SortedFunc(maps.Values(l.models), func(a, b *Model) int { return cmp.Compare(a.Key(), b.Key()) })
}

// Codec returns a codec by its key, or nil.
func (l *Library) Codec(key string) *Codec {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.codecs[key]
}

// changes returns how often something was changed.
func (l *Library) changes() uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.change
}
