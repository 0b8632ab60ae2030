package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lorawand/bridge/admin"
	"lorawand/bridge/admin/problems"
	"lorawand/cmd/lorawand/config"
)

// taken holds a port of the loopback in this process, and returns its address.
func taken(t *testing.T, network string) string {
	t.Helper()
	if network == "udp" {
		c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c.LocalAddr().String()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// A daemon that does not get a port says who has it, and doctor says the same.
func TestPortTaken(t *testing.T) {
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	me := fmt.Sprintf("%s (pid %d)", strings.TrimSpace(string(comm)), os.Getpid())
	for _, tt := range []struct{ network, was, key, setting string }{
		{"udp", "[udp]\nlisten = \"127.0.0.1:0\"", "[udp]\nlisten = %q", "[udp] listen"},
		{"tcp", "[mqtt]\nlisten = [\"127.0.0.1:0\"]", "[mqtt]\nlisten = [%q]", "[mqtt] listen"},
		{"tcp", "[http]\nlisten = \"\"", "[http]\nlisten = %q", "[http] listen"},
	} {
		t.Run(tt.setting, func(t *testing.T) {
			address := taken(t, tt.network)
			_, port, _ := net.SplitHostPort(address)
			s := newSite(t, "")
			text, err := os.ReadFile(s.conf)
			if err != nil {
				t.Fatal(err)
			}
			s.write("lorawand.toml", strings.Replace(string(text), tt.was, fmt.Sprintf(tt.key, address), 1))
			want := fmt.Sprintf("lorawand: port %s is taken: %s holds %s %s; stop it, or set %s to another port\n", port, me,
				strings.ToUpper(tt.network), address, tt.setting)
			if status, _, errOut := s.cli("", "run"); status != exitFailed || !strings.HasSuffix(errOut, want) {
				t.Errorf("run: status %d, %q, want %q", status, errOut, want)
			}
			status, out, _ := s.cli("", "doctor")
			wrong := fmt.Sprintf("WRONG port_taken: Port %s is taken. %s holds ", port, me)
			if status != exitFailed || !strings.Contains(out, wrong) {
				t.Errorf("doctor: status %d, no %q in\n%s", status, wrong, out)
			}
		})
	}
}

func TestHolder(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(root, "proc", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	write("net/udp", head+" 1: 00000000:06A4 00000000:0000 07 0:0 00:0 0     0        0 41 2 0 0\n")
	write("net/udp6", head+"a broken line\n")
	write("net/tcp6", head+" 0: 00000000000000000000000000000000:075B 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 42 1\n"+
		" 1: 00000000000000000000000000000000:22B8 00000000000000000000000000000000:9999 01 0:0 0:0 0 0 0 42 1\n")
	for pid, inode := range map[string]string{"731": "41", "732": "42"} {
		write(pid+"/comm", "chirp\x1bstack\n")
		write(pid+"/fd/0", "")
		if err := os.Symlink("socket:["+inode+"]", filepath.Join(root, "proc", pid, "fd", "7")); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ network, port, want string }{
		{"udp", "1700", "chirp\ufffdstack (pid 731)"},
		{"tcp", "1883", "chirp\ufffdstack (pid 732)"},
		{"tcp", "8888", ""}, // a connection, nobody listens
		{"tcp", "1700", ""},
		{"udp", "70000", ""},
		{"udp", "http", ""},
	} {
		if got := holder(root, tt.network, tt.port); got != tt.want {
			t.Errorf("%s %s: %q, want %q", tt.network, tt.port, got, tt.want)
		}
	}
}

var silentDevice = problems.Problem{
	Code: "device_silent", Tone: problems.Warn, Title: "Device app1/dev1 is silent", Detail: "It was last heard 9 h ago.",
	Todo: "Look whether it has power.", Command: "lorawand device get app1/dev1",
}

// doctor reports on the host and on a daemon.
func TestDoctorSoftware(t *testing.T) {
	for _, tt := range []struct {
		name  string
		conf  string
		found []problems.Problem
		err   error
		want  string
	}{
		{
			"a problem of the daemon", "",
			[]problems.Problem{silentDevice},
			nil,
			"WRONG device_silent: Device app1/dev1 is silent. It was last heard 9 h ago. " +
				"Look whether it has power (lorawand device get app1/dev1).\n",
		},
		{
			"information of the daemon", "",
			[]problems.Problem{{Code: "store_in_memory", Tone: problems.Info, Title: "It is in memory", Detail: "Lost."}},
			nil, "info  store_in_memory: It is in memory. Lost.\n",
		},
		{"none", "", nil, nil, "ok    problems: none\n"},
		{"no daemon", "", nil, admin.ErrNotRunning, "info  daemon: none runs; systemctl start lorawand\n"},
		{
			"no permission", "", nil, fs.ErrPermission,
			"WRONG daemon: you may not use its control socket /run/lorawand/control.sock; call it as root\n",
		},
		{
			"a daemon that does not answer", "", nil, errors.New("too slow"),
			"WRONG daemon: too slow; look into its log: journalctl -u lorawand\n",
		},
		{
			"an address of another host", "[mqtt]\nlisten = [\"192.0.2.1:1883\"]\n", nil, admin.ErrNotRunning,
			"take an address of this host, or none for all of them\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := config.Parse([]byte(tt.conf))
			if err != nil {
				t.Fatal(err)
			}
			d := &doctor{root: t.TempDir(), nice: niceBehind}
			d.problems = func(context.Context) ([]problems.Problem, error) { return tt.found, tt.err }
			d.software(t.Context(), &c)
			var out strings.Builder
			for _, f := range d.found {
				if err := f.print(&out, false); err != nil {
					t.Fatal(err)
				}
			}
			if !strings.Contains(out.String(), tt.want) {
				t.Errorf("no %q in\n%s", tt.want, &out)
			}
		})
	}
}

// doctor tells of passwords that every user may read.
func TestDoctorSecrets(t *testing.T) {
	for _, tt := range []struct {
		name, conf string
		mode       os.FileMode
		want       string
	}{
		{"nothing secret", "", 0o644, "PATH is good, 0 gateways"},
		{"for the group", upstreamSecret, 0o640, "PATH is good, 0 gateways"},
		{"for all", upstreamSecret, 0o644, "every user of this host may read PATH, which has upstream[0].remote_password"},
		{
			"of an extender", "role = \"extender\"\n[central]\naddress = \"central:1884\"\nkey = \"NNSXS.A.B\"\n" +
				"[[gateway]]\neui = \"0000000000000001\"\nfrequency_plan = \"EU_863_870_TTN\"\n",
			0o604, "every user of this host may read PATH, which has central.key",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "lorawand.toml")
			if err := os.WriteFile(path, []byte(tt.conf), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tt.mode); err != nil {
				t.Fatal(err)
			}
			c, err := config.Load(path, true)
			if err != nil {
				t.Fatal(err)
			}
			d := &doctor{root: t.TempDir()}
			d.configuration(path, &c)
			f := d.found[0]
			bad := strings.HasPrefix(tt.want, "every")
			if want := strings.ReplaceAll(tt.want, "PATH", path); f.Says != want || (f.State == wrong) != bad {
				t.Errorf("it says %q, %v", f.Says, f.State)
			}
			if bad && !strings.Contains(f.Fix, "chmod 0640 "+path) {
				t.Errorf("to do: %q", f.Fix)
			}
		})
	}
}

const upstreamSecret = `[[upstream]]
url = "mqtts://cloud.example"
remote_username = "me"
remote_password = "x"
applications = ["app1"]
`
