package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// daemon is one that answers each connection with a text, whatever it is asked. It returns
// the path of its socket.
func daemon(t *testing.T, answer string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = bufio.NewReader(c).ReadString('\n')
			_, _ = io.WriteString(c, answer)
			_ = c.Close()
		}
	}()
	return path
}

// The client takes the parts up to the end, and tells of an answer that is none.
func TestAnswersOfADaemon(t *testing.T) {
	refused := errors.New("not this one")
	for _, tt := range []struct {
		name, answer string
		each         error
		want         string // "": no error
		is           error
		parts        string
	}{
		{name: "none", answer: `{"end":true}` + "\n"},
		{
			name: "two", answer: `{"data":1}` + "\n" + `{"data":{"a":2}}` + "\n" + `{"end":true}` + "\n",
			parts: `1 {"a":2}`,
		},
		{name: "more behind the end", answer: `{"end":true}` + "\n" + `{"data":1}` + "\n"},
		{
			name: "an error behind a part", answer: `{"data":1}` + "\n" + `{"error":"no\nway"}` + "\n", want: "no\nway",
			parts: "1",
		},
		{name: "both", answer: `{"data":1,"error":"no"}` + "\n", want: "no"},
		{
			name: "a part that is not taken", answer: `{"data":1}` + "\n" + `{"data":2}` + "\n", each: refused,
			want: "not this one", is: refused, parts: "1",
		},
		{name: "nothing", answer: "", want: "has ended the connection", is: io.ErrUnexpectedEOF},
		{
			name: "no end", answer: `{"data":1}` + "\n", want: "has ended the connection", is: io.ErrUnexpectedEOF,
			parts: "1",
		},
		{name: "half a line", answer: `{"end":true}`, want: "has ended the connection", is: io.ErrUnexpectedEOF},
		{name: "not JSON", answer: "HTTP/1.1 400 Bad Request\n", want: "cannot read the answer"},
		{name: "a list", answer: "[]\n", want: "cannot read the answer"},
		{
			name: "a long part", answer: `{"data":"` + strings.Repeat("x", 1<<20) + `"}` + "\n" + `{"end":true}` + "\n",
			parts: `"` + strings.Repeat("x", 1<<20) + `"`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var parts []string
			err := Client{daemon(t, tt.answer)}.Call(t.Context(), "status", nil, func(raw json.RawMessage) error {
				parts = append(parts, string(raw))
				return tt.each
			})
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%.200v, want %q", err, tt.want)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("%v is not %v", err, tt.is)
			}
			if got := strings.Join(parts, " "); got != tt.parts {
				t.Errorf("parts %.200s, want %.200s", got, tt.parts)
			}
		})
	}
}

// Where no daemon can answer, the client says so; where something else is wrong, it says
// what.
func TestNoDaemon(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, path string
		running    bool
	}{
		{"no file", filepath.Join(folder, "s"), false},
		{"no folder", filepath.Join(folder, "none", "s"), false},
		{"a file in place of the folder", filepath.Join(file, "s"), false},
		{"a file", file, false},
		{"a folder", folder, false},
		{"a path that is too long", filepath.Join(folder, strings.Repeat("x", 200)), true},
	} {
		err := Client{tt.path}.Call(t.Context(), "status", nil, nil)
		if err == nil || errors.Is(err, ErrNotRunning) == tt.running {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	err := Client{daemon(t, `{"end":true}`+"\n")}.Call(ended, "status", nil, nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a call that has ended before: %v", err)
	}
	err = Client{file}.Call(t.Context(), "status", make(chan int), nil)
	if err == nil || !strings.HasPrefix(err.Error(), "admin: status: ") {
		t.Errorf("arguments that are no JSON: %v", err)
	}
}

// What stands in the way of the socket is told and stays.
func TestNoSocket(t *testing.T) {
	h := newHouse(t)
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(folder, "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	taken := filepath.Join(folder, "taken")
	if err := os.MkdirAll(filepath.Join(taken+".new", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, path string
		is         error
	}{
		{"a folder", folder, nil},
		{"a file", file, nil},
		{"a link", link, nil},
		{"a file in place of the folder", filepath.Join(file, "s"), syscall.ENOTDIR},
		{"a folder under the other name", taken, syscall.ENOTEMPTY},
		{"a path that is too long", filepath.Join(folder, strings.Repeat("x", 200)), nil},
	} {
		s, err := Listen(h.admin, tt.path)
		if !errors.Is(err, ErrSocket) || !strings.Contains(err.Error(), tt.path) || tt.is != nil && !errors.Is(err, tt.is) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if err == nil {
			_ = s.Close()
		}
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "mine" {
		t.Errorf("the file is now %q, %v", b, err)
	}
	// What a daemon has left that ended before it had renamed its socket is replaced.
	h.path = filepath.Join(folder, "s")
	if err := os.WriteFile(h.path+".new", []byte("left"), 0o600); err != nil {
		t.Fatal(err)
	}
	stop := h.listen()
	if _, err := h.call("status", nil); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(h.path + ".new"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
	stop()
}

// A request may come in pieces; one that ends too soon is told why it is none.
func TestPiecesOfARequest(t *testing.T) {
	h := newHouse(t)
	h.listen()
	whole := `{"version":1,"op":"status"}` + "\n"
	for _, tt := range []struct{ name, text, want string }{
		{"byte by byte", whole, `{"end":true}`},
		{"no line end", strings.TrimSpace(whole), "no request came: EOF"},
		{"nothing", "", "no request came: EOF"},
		{"half", whole[:10], "no request came: EOF"},
		{"two lines", whole + whole, `{"end":true}`},
		{"zeros", strings.Repeat("\x00", 30) + "\n", "not a request"},
	} {
		c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: h.path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		for i := range tt.text {
			_, _ = io.WriteString(c, tt.text[i:i+1]) // it may have its answer already
		}
		_ = c.CloseWrite()
		b, _ := io.ReadAll(c)
		_ = c.Close()
		ends := strings.Count(string(b), `"end"`) + strings.Count(string(b), `"error"`)
		if got := string(b); !strings.Contains(got, tt.want) || ends != 1 {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}
