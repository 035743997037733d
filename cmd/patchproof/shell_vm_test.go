//go:build vm

package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

// TestVMShell: commands on standard input run in the guest.
func TestVMShell(t *testing.T) {
	kernel := builtKernel(t)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	stdin, commands, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	if _, err := io.WriteString(commands, "uname -r; nproc; [ -b /dev/vda ] && echo disk\n"); err != nil {
		t.Fatal(err)
	}
	if err := commands.Close(); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	err = run(ctx, []string{"shell", "--kernel", kernel, "--vcpus", "3"}, stdin, &out, &errs)
	if err != nil {
		t.Fatalf("%v\n%s", err, &errs)
	}
	lines := strings.Fields(out.String())
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "6.1.") || lines[1] != "3" || lines[2] != "disk" {
		t.Errorf("the guest said %q", out.String())
	}
}
