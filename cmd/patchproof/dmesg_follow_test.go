package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"patchproof/dmesg"
)

// A report without an end mark: only silence or more lines complete it.
const openReport = `[   12.000001] BUG: scheduling while atomic: loom/17/0x00000002
[   12.000002] CPU: 0 PID: 17 Comm: loom Not tainted 6.1.0 #1
[   12.000003] Call Trace:
[   12.000004]  __schedule_bug+0x20/0x30
[   12.000005]  loom_sleep+0x20/0x30
`

var testPace = followPace{poll: time.Millisecond, silence: 20 * time.Millisecond}

// TestFollow feeds a growing file and a pipe, and waits for the report while
// the writer is silent but not done.
func TestFollow(t *testing.T) {
	for _, kind := range []string{"file", "pipe"} {
		t.Run(kind, func(t *testing.T) {
			in, out := liveLog(t, kind)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			found, done := make(chan dmesg.Report, 8), make(chan error)
			parser := dmesg.NewParser(func(r dmesg.Report) { found <- r })
			go func() { done <- follow(ctx, parser, in, kind == "file", testPace) }()
			half := len(openReport) / 2
			io.WriteString(out, openReport[:half])
			io.WriteString(out, openReport[half:])
			if r := <-found; !strings.HasPrefix(r.Title, "BUG: scheduling while atomic") {
				t.Errorf("got %q", r.Title)
			}
			if kind == "file" {
				cancel()
			} else {
				out.Close()
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// liveLog returns both ends of a log that is being written.
func liveLog(t *testing.T, kind string) (io.Reader, io.WriteCloser) {
	t.Helper()
	if kind == "pipe" {
		return io.Pipe()
	}
	path := filepath.Join(t.TempDir(), "console.log")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); out.Close() })
	return in, out
}

func TestFollowReportsReadErrors(t *testing.T) {
	broken := errors.New("broken")
	parser := dmesg.NewParser(func(dmesg.Report) {})
	if err := follow(context.Background(), parser, iotest.ErrReader(broken), true, testPace); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}
