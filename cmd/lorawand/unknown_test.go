package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// filters returns the command lines that list, with each flag that lists only what belongs to something.
func filters(cmd *cobra.Command) (out [][]string) {
	for _, name := range []string{"application", "device", "gateway"} {
		if f := cmd.Flags().Lookup(name); f != nil && strings.HasPrefix(f.Usage, "only ") {
			out = append(out, append(strings.Fields(cmd.CommandPath())[1:], "--"+name))
		}
	}
	for _, sub := range cmd.Commands() {
		out = append(out, filters(sub)...)
	}
	return out
}

// Whatever lists only what belongs to an application, a device or a gateway says on stderr that there is no such one,
// and is silent about one that there is.
func TestUnknownFilters(t *testing.T) {
	s := newSite(t, "")
	s.must(deviceJSON("dev1", testAddr.String()), "device", "import", "-", "--application", "app1")
	s.start()
	known := map[string]string{"application": "app1", "device": "app1/dev1", "gateway": "eui-a1c0ffee00000001"}
	all := filters(newRoot())
	if len(all) < 6 {
		t.Fatalf("only %q", all)
	}
	for _, words := range all {
		what := strings.TrimPrefix(words[len(words)-1], "--")
		status, _, errOut := s.cli("", append(words, "app9")...)
		if status != 0 || strings.Count(errOut, "\n") != 1 || !strings.Contains(errOut, `"app9": no such `+what) {
			t.Errorf("%q app9: %d, %s", words, status, errOut)
		}
		if status, _, errOut := s.cli("", append(words, known[what])...); status != 0 || errOut != "" {
			t.Errorf("%q %s: %d, %s", words, known[what], status, errOut)
		}
	}
}

// The events of a device are asked for by its id, with or without its application, or by its DevEUI.
func TestUnknownDevices(t *testing.T) {
	s := newSite(t, "")
	s.must("", "device", "create", "app1/dev1", "--dev-eui", "70B3D57ED0000001", "--join-eui", "0000000000000001",
		"--app-key", testApp)
	s.start()
	for word, known := range map[string]bool{
		"dev1": true, "app1/dev1": true, "70B3D57ED0000001": true, "70b3d57ed0000001": true,
		"dev2": false, "app2/dev1": false, "70B3D57ED0000002": false,
	} {
		want := "lorawand: device \"" + word + "\": no such device\n"
		if known {
			want = ""
		}
		if status, out, errOut := s.cli("", "events", "--device", word); status != 0 || out != "" || errOut != want {
			t.Errorf("%s: %d, %s%s", word, status, out, errOut)
		}
	}
	// Who follows is told at once.
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var errOut bytes.Buffer
	args := []string{"events", "-f", "--gateway", "gw9", "-c", s.conf}
	if status := run(ctx, args, strings.NewReader(""), io.Discard, &errOut); status != 0 ||
		errOut.String() != "lorawand: gateway \"gw9\": no such gateway\n" {
		t.Errorf("%d, %s", status, &errOut)
	}
}
