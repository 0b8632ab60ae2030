package decode

import (
	"os"
	"testing"

	"lorawand/bridge/formatter"
)

// The test program runs scripts in itself, as the daemon does.
func TestMain(m *testing.M) {
	if formatter.IsChild(os.Args) {
		os.Exit(formatter.RunChild())
	}
	os.Exit(m.Run())
}
