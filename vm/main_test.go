package vm

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// TestMain fails when a test leaves a goroutine behind: each guest has several.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
