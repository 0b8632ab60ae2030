// Package repository reads models and codecs from a copy of The Things Stack's
// device repository: folders vendor/BRAND with MODEL.yaml, which names a codec for
// each firmware version and region, CODEC.yaml, which names scripts and has
// examples, and the scripts.
//
// What it reads comes from outside: files are read no further than they may be
// long, no name leads out of the folders, and aliases of YAML cannot grow without
// bound.
package repository

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"lorawand/bridge/codec"
	"lorawand/bridge/formatter"
)

// ErrFile is the reason for a file that cannot be used.
var ErrFile = errors.New("cannot be used")

// Limits of what is read.
const (
	maxYAML   = 1 << 20 // bytes of a file; the largest of 2026 has a tenth of that
	maxModels = 20_000
)

// Name is a model, or with Model "" all models of a brand.
type Name struct{ Brand, Model string }

// String returns "brand/model".
func (n Name) String() string { return n.Brand + "/" + n.Model }

// Fault is a model that cannot be read, and why.
type Fault struct {
	Name Name
	Err  error
}

// Selection is what was read.
type Selection struct {
	Models   []*codec.Model
	Codecs   []*codec.Codec
	Examples []Example
	Faults   []Fault // of models that are left out
}

// reader reads from the folder of all brands.
type reader struct {
	vendors fs.FS
	out     Selection
	codecs  map[string]error // read so far; with an error: not usable
	models  map[Name]bool    // the same
}

// Read reads models with their codecs from the folder that has a folder for each
// brand. wanted, if it is not nil, says which of them.
func Read(vendors fs.FS, names []Name, wanted func(Name) bool) (*Selection, error) {
	r := &reader{vendors: vendors, codecs: map[string]error{}, models: map[Name]bool{}}
	for _, n := range names {
		models := []Name{n}
		if n.Model == "" {
			var err error
			if models, err = r.modelsOf(n.Brand); err != nil {
				return nil, err
			}
		}
		for _, m := range models {
			if r.models[m] || wanted != nil && !wanted(m) {
				continue
			}
			if len(r.models) == maxModels {
				return nil, fmt.Errorf("%w: more than %d models", ErrFile, maxModels)
			}
			r.models[m] = true
			if err := r.model(m); err != nil {
				r.out.Faults = append(r.out.Faults, Fault{m, err})
			}
		}
	}
	return &r.out, nil
}

// Brands returns the brands of a folder of all brands: its folders with models.
func Brands(vendors fs.FS) ([]Name, error) {
	entries, err := fs.ReadDir(vendors, ".")
	if err != nil {
		return nil, err
	}
	var out []Name
	for _, e := range entries {
		if info, err := fs.Stat(vendors, path.Join(e.Name(), "index.yaml")); err == nil && info.Mode().IsRegular() {
			out = append(out, Name{Brand: e.Name()})
		}
	}
	return out, nil
}

// modelsOf returns the models of a brand: those of its index or, where there is
// none, all files.
func (r *reader) modelsOf(brand string) (out []Name, err error) {
	var index struct {
		Models []string `yaml:"endDevices"`
	}
	file := brand + "/index.yaml"
	err = r.yaml(file, &index)
	if errors.Is(err, fs.ErrNotExist) {
		return r.filesOf(brand)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for _, m := range index.Models {
		out = append(out, Name{brand, m})
	}
	return out, nil
}

// filesOf returns the models of a brand by its files: a model has firmware versions.
func (r *reader) filesOf(brand string) (out []Name, err error) {
	entries, err := fs.ReadDir(r.vendors, brand)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), ".yaml")
		if !ok {
			continue
		}
		var m modelYAML
		if r.yaml(brand+"/"+e.Name(), &m) == nil && len(m.Firmware) > 0 {
			out = append(out, Name{brand, id})
		}
	}
	return out, nil
}

// modelYAML is what matters of a model.
type modelYAML struct {
	Firmware []struct {
		Version  string                 `yaml:"version"`
		Hardware []string               `yaml:"hardwareVersions"`
		Profiles map[string]profileYAML `yaml:"profiles"` // by region
	} `yaml:"firmwareVersions"`
}

type profileYAML struct {
	Vendor string `yaml:"vendorID"` // of the profile, and maybe of its codec
	Codec  string `yaml:"codec"`
}

// model reads a model and the codecs that it names. A model without a usable codec
// is left out.
func (r *reader) model(n Name) error {
	file := n.String() + ".yaml"
	var y modelYAML
	if err := r.yaml(file, &y); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	m := &codec.Model{Brand: n.Brand, ID: n.Model}
	found := false
	for _, f := range y.Firmware {
		v := codec.Version{Firmware: f.Version, Hardware: f.Hardware, Codecs: map[string]string{}}
		for _, region := range slices.Sorted(maps.Keys(f.Profiles)) {
			p := f.Profiles[region]
			if p.Codec == "" {
				continue
			}
			key, err := r.codec(n.Brand, p)
			if err != nil {
				return err
			}
			v.Codecs[band(region)], found = key, true
		}
		m.Versions = append(m.Versions, v)
	}
	if !found {
		return fmt.Errorf("%s: %w: it names no codec", file, ErrFile)
	}
	if err := m.Check(); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	r.out.Models = append(r.out.Models, m)
	return nil
}

// codec reads the codec of a profile, once, and returns its key. It lies beside the
// model, or beside the profile.
func (r *reader) codec(brand string, p profileYAML) (key string, err error) {
	for _, vendor := range []string{brand, p.Vendor} {
		if vendor == "" {
			continue
		}
		key = vendor + "/" + p.Codec
		known, read := r.codecs[key]
		if !read {
			known = r.readCodec(vendor, p.Codec)
			r.codecs[key] = known
		}
		if err = known; !errors.Is(err, fs.ErrNotExist) {
			return key, err
		}
	}
	return key, err
}

// codecYAML is what matters of a codec.
type codecYAML struct {
	UplinkDecoder   scriptYAML `yaml:"uplinkDecoder"`
	DownlinkEncoder scriptYAML `yaml:"downlinkEncoder"`
	DownlinkDecoder scriptYAML `yaml:"downlinkDecoder"`
}

type scriptYAML struct {
	File     string    `yaml:"fileName"`
	Examples yaml.Node `yaml:"examples"` // read by itself: a fault in it leaves the codec usable
}

func (r *reader) readCodec(brand, id string) error {
	file := brand + "/" + id + ".yaml"
	var y codecYAML
	if err := r.yaml(file, &y); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	c := &codec.Codec{
		Brand: brand, ID: id, Files: map[string]string{}, UplinkDecoder: y.UplinkDecoder.File,
		DownlinkEncoder: y.DownlinkEncoder.File, DownlinkDecoder: y.DownlinkDecoder.File,
	}
	for _, name := range []string{c.UplinkDecoder, c.DownlinkEncoder, c.DownlinkDecoder} {
		if _, read := c.Files[name]; name == "" || read {
			continue
		}
		if !fs.ValidPath(name) || name == "." {
			return fmt.Errorf("%s: %w: the script %.80q is not a file of this folder", file, ErrFile, name)
		}
		b, err := r.read(brand+"/"+name, formatter.MaxCodec)
		if err != nil {
			return fmt.Errorf("%s/%s: %w", brand, name, err)
		}
		c.Files[name] = string(b)
	}
	if err := c.Check(); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	r.out.Codecs = append(r.out.Codecs, c)
	for _, s := range []struct {
		task formatter.Task
		of   *yaml.Node
	}{
		{formatter.DecodeUplink, &y.UplinkDecoder.Examples},
		{formatter.EncodeDownlink, &y.DownlinkEncoder.Examples},
		{formatter.DecodeDownlink, &y.DownlinkDecoder.Examples},
	} {
		for i, n := range s.of.Content {
			r.out.Examples = append(r.out.Examples, exampleOf(n, c, s.task, i))
		}
	}
	return nil
}

// yaml reads a YAML file. A panic of the library, which reads what others have
// written, is a fault of the file.
func (r *reader) yaml(name string, into any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: yaml: %.200s", ErrFile, fmt.Sprint(p))
		}
	}()
	if !fs.ValidPath(name) {
		return fmt.Errorf("%w: not a name of a file", ErrFile)
	}
	b, err := r.read(name, maxYAML)
	if err != nil {
		return err
	}
	if err := yaml.Unmarshal(b, into); err != nil {
		return fmt.Errorf("%w: %w", ErrFile, oneLine(err))
	}
	return nil
}

// oneLine returns the first fault that yaml tells.
func oneLine(err error) error {
	var t *yaml.TypeError
	if errors.As(err, &t) && len(t.Errors) > 0 {
		return fmt.Errorf("yaml: %.200s", t.Errors[0])
	}
	return fmt.Errorf("%.200s", err.Error())
}

// read reads a file of at most limit bytes. What is not a file, such as a named pipe,
// is not opened.
func (r *reader) read(name string, limit int64) ([]byte, error) {
	info, err := fs.Stat(r.vendors, name)
	if err != nil {
		return nil, reason(err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: not a file", ErrFile)
	}
	f, err := r.vendors.Open(name)
	if err != nil {
		return nil, reason(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrFile, limit)
	}
	return b, nil
}

// reason leaves the path out of an error: the caller says which file.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// band returns the band id of a region: EU_863_870 for EU863-870, AS_923_2 for
// AS923-2.
func band(region string) string {
	if i := strings.IndexAny(region, "0123456789"); i > 0 && region[i-1] != '_' {
		region = region[:i] + "_" + region[i:]
	}
	return strings.ReplaceAll(region, "-", "_")
}
