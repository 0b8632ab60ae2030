package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"lorawand/cmd/lorawand/config"
	"lorawand/concentrator/sx1302"
)

func newFirmware() *cobra.Command {
	return group("firmware", "Handle the firmware of the concentrator", newFirmwareImport())
}

func newFirmwareImport() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use: "import FILE…", Short: "Import firmware images from .var files, raw images or a packet forwarder",
		Long: "Import firmware images from the .var files of https://github.com/Lora-net/sx1302_hal\n" +
			"(libloragw/src), from images of 8192 bytes, or from the program of a packet forwarder for the\n" +
			"SX1302, of any architecture: those of sx1302_hal 2.0.0 to 2.1.0 have all programs, with the patch\n" +
			"of the SX1261.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(fmt.Errorf("no file given"))
			}
			if err := makeFolder(dir); err != nil {
				return err
			}
			done := progress(cmd, "Reading firmware")
			defer done()
			for _, path := range args {
				if err := importFirmware(cmd, dir, path); err != nil {
					return fmt.Errorf("%s: %w", path, err)
				}
			}
			done()
			fmt.Fprint(cmd.OutOrStdout(), absentPrograms(dir))
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", config.DefaultFirmware, "`folder` of the images")
	return cmd
}

// folderMode lets the daemon, which does not run as root, read folders made by
// root.
const folderMode = 0o755

// makeFolder makes a folder and its parents with this mode, whatever the umask is.
// It does not change an existing folder.
func makeFolder(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	if parent := filepath.Dir(dir); parent != dir {
		if err := makeFolder(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, folderMode); err != nil {
		return err
	}
	return os.Chmod(dir, folderMode)
}

func importFirmware(cmd *cobra.Command, dir, path string) error {
	file, err := readImport(path)
	if err != nil {
		return err
	}
	images, err := sx1302.FindImages(file)
	if err != nil {
		return err
	}
	return saveImages(cmd.OutOrStdout(), dir, path, images)
}

// saveImages saves the images of a file, and names those that are of no use.
func saveImages(w io.Writer, dir, path string, images []sx1302.Image) error {
	taken := 0
	for _, im := range images {
		if im.Program.Old() {
			fmt.Fprintf(w, "%s: %s: not taken, it is too old\n", path, im.Program)
			continue
		}
		if err := sx1302.SaveImage(dir, im); err != nil {
			return err
		}
		taken++
		fmt.Fprintf(w, "%s: %s\n", path, im.Program)
	}
	if taken == 0 {
		return fmt.Errorf("%w: all programs in it are too old, those of sx1302_hal 2.0.0 to 2.1.0 are needed",
			sx1302.ErrImage)
	}
	return nil
}

// absentPrograms says what a folder of images lacks. A board needs the programs for its
// radios; the patch is for plans that ask for listening before talking.
func absentPrograms(dir string) string {
	absent := func(programs ...sx1302.Program) string {
		var names []string
		for _, p := range sx1302.Absent(dir, programs...) {
			names = append(names, p.String())
		}
		return strings.Join(names, " and ")
	}
	now := absent(sx1302.AGCSX1250, sx1302.ARB)
	older := absent(sx1302.AGCSX125x, sx1302.ARB, sx1302.CalibrationSX125x)
	out := ""
	if now != "" && older != "" {
		out = fmt.Sprintf("missing in %s: %s for boards with SX1250 radios, or %s for those with SX1255 or SX1257\n", dir,
			now, older)
	}
	if patch := absent(sx1302.PatchSX1261); patch != "" {
		out += fmt.Sprintf("missing in %s: %s, which only plans of Japan and Korea, and scans need; "+
			"packet forwarders of sx1302_hal 2.0.0 to 2.1.0 have it\n", dir, patch)
	}
	return out
}

// readImport reads a file up to the largest size of an import.
func readImport(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > sx1302.MaxImportSize {
		return nil, fmt.Errorf("%w: %d bytes, more than %d", sx1302.ErrImage, info.Size(), sx1302.MaxImportSize)
	}
	var b bytes.Buffer
	b.Grow(int(info.Size()) + bytes.MinRead)
	_, err = b.ReadFrom(io.LimitReader(f, sx1302.MaxImportSize+1))
	return b.Bytes(), err
}
