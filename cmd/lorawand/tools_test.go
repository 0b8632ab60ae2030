package main

import (
	"os"
	"os/exec"
	"testing"
)

// toolsEnv says that no tool may be missing: a test that needs one fails then,
// where it would be left out else.
const toolsEnv = "LORAWAND_TOOLS"

// tool returns the path of a program of others.
func tool(t *testing.T, name string) string {
	t.Helper()
	for _, dir := range []string{"", "/usr/sbin/"} {
		if path, err := exec.LookPath(dir + name); err == nil {
			return path
		}
	}
	missing(t, name)
	return ""
}

func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv(toolsEnv) == "required" {
		t.Fatalf("%s is not installed", what)
	}
	t.Skipf("%s is not installed", what)
}
