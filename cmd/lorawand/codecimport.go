//go:build !small

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"lorawand/bridge/admin"
	"lorawand/bridge/codec/repository"
	"lorawand/bridge/formatter"
	"lorawand/cmd/lorawand/config"
)

func newCodecImport() *cobra.Command {
	var check, needed bool
	cmd := &cobra.Command{
		Use:   "import DIR|FILE…",
		Short: "Import codecs from a copy of The Things Stack's device repository",
		Long: "Import the codecs that makers of devices publish in github.com/TheThingsNetwork/lorawan-devices,\n" +
			"from a copy of that: its folder, its vendor folder, the folder of a brand, or MODEL.yaml files\n" +
			"there. Devices whose formatter is repository use them by their brand, model, firmware version and\n" +
			"band. Codecs that were imported before are replaced. Models that cannot be read are reported and\n" +
			"left out; a FILE that cannot be read is an error, and then nothing is imported.\n\n" +
			"At most 512 models with 256 codecs of 2 MB are kept: to import from the whole repository use\n" +
			"--needed.\n\n" +
			"--check runs the makers' examples instead, with the limits of the daemon, and prints the\n" +
			"differences.",
		Example: "lorawand codec import lorawan-devices --needed\n" +
			"lorawand codec import lorawan-devices/vendor/acme/sensor.yaml --check",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(errors.New("codec import needs a folder or a file"))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "run the examples of the codecs, and import nothing")
	cmd.Flags().BoolVar(&needed, "needed", false, "only codecs for models of registered devices")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := loadConfig(cmd)
		if err != nil {
			return err
		}
		var wanted func(repository.Name) bool
		if needed {
			if wanted, err = modelsInUse(cmd.Context(), c); err != nil {
				return err
			}
		}
		s, err := readCodecs(cmd.ErrOrStderr(), args, wanted)
		if err != nil {
			return err
		}
		if check {
			return checkExamples(cmd.Context(), c, cmd.OutOrStdout(), s)
		}
		return importCodecs(cmd, c, s)
	}
	return cmd
}

// modelsInUse returns a function that reports whether a registered device is of a
// model.
func modelsInUse(ctx context.Context, c config.Config) (func(repository.Name) bool, error) {
	type versioned struct {
		IDs struct {
			Brand string `json:"brand_id"`
			Model string `json:"model_id"`
		} `json:"version_ids"`
	}
	used := map[repository.Name]bool{}
	err := operate(ctx, c, "device.list", admin.ListArgs{}, func(d versioned) error {
		used[repository.Name{Brand: d.IDs.Brand, Model: d.IDs.Model}] = true
		return nil
	})
	return func(n repository.Name) bool { return used[n] }, err
}

// readCodecs reads all folders and files. It reports models that it leaves out, and
// returns an error for a file that it cannot read.
func readCodecs(stderr io.Writer, paths []string, wanted func(repository.Name) bool) (*repository.Selection, error) {
	all := &repository.Selection{}
	var faults []error
	for _, path := range paths {
		s, isFile, err := readCodecPath(path, wanted)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", path, err))
			continue
		}
		for _, f := range s.Faults {
			if isFile {
				faults = append(faults, fmt.Errorf("%s: %w", path, f.Err))
				continue
			}
			fmt.Fprintf(stderr, "lorawand: left out: %s: %s\n", plainLine(f.Name.String()), plainLine(f.Err.Error()))
		}
		all.Models, all.Codecs = append(all.Models, s.Models...), append(all.Codecs, s.Codecs...)
		all.Examples = append(all.Examples, s.Examples...)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if len(all.Models) == 0 {
		if wanted != nil {
			return nil, errors.New("no codec of a model that a registered device is of")
		}
		return nil, errors.New("no codec found in " + strings.Join(paths, ", "))
	}
	return all, nil
}

// readCodecPath reads the folder of all brands, the folder of one brand, or the
// file of a model. It opens the folder of all brands as a root that no name in a
// file can leave.
func readCodecPath(path string, wanted func(repository.Name) bool) (s *repository.Selection, isFile bool, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, false, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, false, errors.Unwrap(err)
	}
	vendors, names := path, []repository.Name(nil)
	switch {
	case !info.IsDir():
		isFile = true
		model, ok := strings.CutSuffix(filepath.Base(path), ".yaml")
		if !ok {
			return nil, isFile, errors.New("not the MODEL.yaml of a device")
		}
		brand := filepath.Dir(path)
		vendors, names = filepath.Dir(brand), []repository.Name{{Brand: filepath.Base(brand), Model: model}}
	case isFolder(filepath.Join(path, "vendor")):
		vendors = filepath.Join(path, "vendor")
	}
	root, err := os.OpenRoot(vendors)
	if err != nil {
		return nil, isFile, err
	}
	defer root.Close()
	if names == nil {
		if names, err = repository.Brands(root.FS()); err != nil {
			return nil, isFile, err
		}
	}
	if len(names) > 0 {
		s, err = repository.Read(root.FS(), names, wanted)
		return s, isFile, err
	}
	return readBrand(path, wanted)
}

// readBrand reads the folder of a brand.
func readBrand(path string, wanted func(repository.Name) bool) (*repository.Selection, bool, error) {
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, false, err
	}
	defer root.Close()
	s, err := repository.Read(root.FS(), []repository.Name{{Brand: filepath.Base(path)}}, wanted)
	return s, false, err
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func importCodecs(cmd *cobra.Command, c config.Config, s *repository.Selection) error {
	args := admin.PutCodecsArgs{Models: s.Models, Codecs: s.Codecs}
	if err := operate(cmd.Context(), c, "codec.put", args, tellNote(cmd)); err != nil {
		return err
	}
	bytes := 0
	for _, codec := range s.Codecs {
		bytes += codec.Bytes()
	}
	models, codecs := plural(len(s.Models), "model"), plural(len(s.Codecs), "codec")
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "Imported %s with %s of %d kB.\n", models, codecs, (bytes+1023)>>10)
	return err
}

// errExamples is the error of a check with differences.
var errExamples = errors.New("not all examples come out as their makers say")

// checkExamples runs the examples of all codecs as the daemon would, and prints the
// differences.
func checkExamples(ctx context.Context, c config.Config, out io.Writer, s *repository.Selection) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pool := formatter.New(triedOptions(c))
	ended := make(chan error, 1)
	go func() { ended <- pool.Run(ctx) }()
	wrong, with := 0, map[string]bool{}
	for i := range s.Examples {
		e := &s.Examples[i]
		with[e.Codec.Key()] = true
		var differences []string
		if r, err := e.Request(); err != nil {
			differences = []string{err.Error()}
		} else {
			differences = e.Differences(pool.Do(ctx, r))
		}
		if len(differences) > 0 {
			wrong++
		}
		for _, d := range differences {
			fmt.Fprintf(out, "%s: %s: %s: %s\n", e.Codec.Key(), taskName(e.Task), plainLine(e.Description), plainLine(d))
		}
	}
	cancel()
	if err := <-ended; err != nil {
		return err
	}
	for _, c := range s.Codecs {
		if !with[c.Key()] {
			fmt.Fprintf(out, "%s: has no examples\n", c.Key())
		}
	}
	fmt.Fprintf(out, "%s of %s: %d as their makers say, %d not.\n", plural(len(s.Examples), "example"),
		plural(len(s.Codecs), "codec"), len(s.Examples)-wrong, wrong)
	if wrong > 0 {
		return errExamples
	}
	return nil
}

func taskName(t formatter.Task) string {
	switch t {
	case formatter.EncodeDownlink:
		return "downlink encoder"
	case formatter.DecodeDownlink:
		return "downlink decoder"
	}
	return "uplink decoder"
}
