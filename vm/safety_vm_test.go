//go:build vm

package vm

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// helperFlag makes the test binary play a harness that is to be killed.
var helperFlag = flag.String("helper", "", "folder of the guest that TestHelperHarness runs")

// TestHelperHarness is no test: TestHarnessKilled runs it in a process of its own.
func TestHelperHarness(t *testing.T) {
	if *helperFlag == "" {
		return
	}
	spec := specFor(t)
	spec.Dir = *helperFlag
	spec.Disks = []Disk{{SizeMiB: 64}}
	g := ready(t, context.Background(), spec)
	fmt.Printf("\nguest %d\n", g.PID())
	_, _ = g.Run(context.Background(), "sleep 600")
}

// TestHarnessKilled kills a harness with SIGKILL: its guest has to go with it,
// and may leave nothing but its logs.
func TestHarnessKilled(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	cmd := exec.Command(os.Args[0], "-test.run=^TestHelperHarness$", "-kernel", kernel(t), "-cache", *cacheFlag, "-helper", dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()
	pid := 0
	for sc := bufio.NewScanner(out); pid == 0 && sc.Scan(); {
		if s, ok := strings.CutPrefix(sc.Text(), "guest "); ok {
			pid, _ = strconv.Atoi(s)
		}
	}
	if pid == 0 {
		t.Fatal("the harness did not get its guest up")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(30 * time.Second)
	for syscall.Kill(pid, 0) == nil && !zombie(pid) {
		if time.Now().After(deadline) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatalf("QEMU %d outlived its harness", pid)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 3 {
		t.Errorf("the run's folder holds %v, %v; want the three logs alone", left, err)
	}
}

// zombie tells whether a process waits for its new parent to reap it, which not
// every container's first process does.
func zombie(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && statState(string(data)) == 'Z'
}

// TestOnlyLoopback checks that the guest's port can be reached from this host
// alone, by the host kernel's own table.
func TestOnlyLoopback(t *testing.T) {
	g := ready(t, context.Background(), specFor(t))
	inodes := socketInodes(t, g.PID())
	listening := 0
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} {
		data, err := os.ReadFile("/proc/net/" + table)
		if err != nil {
			continue
		}
		for _, line := range strings.Split(string(data), "\n")[1:] {
			f := strings.Fields(line)
			const stateListen = "0A"
			if len(f) < 10 || !inodes[f[9]] || (f[3] != stateListen && strings.HasPrefix(table, "tcp")) {
				continue
			}
			listening++
			if want := fmt.Sprintf("0100007F:%04X", g.link.config.Port); f[1] != want {
				t.Errorf("QEMU listens on %s %s, want %s alone", table, f[1], want)
			}
		}
	}
	if listening != 1 {
		t.Errorf("QEMU listens on %d sockets, want 1", listening)
	}
}

// socketInodes returns the inode numbers of a process's sockets.
func socketInodes(t *testing.T, pid int) map[string]bool {
	t.Helper()
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil || len(fds) == 0 {
		t.Fatalf("no descriptors of QEMU %d: %v", pid, err)
	}
	inodes := map[string]bool{}
	for _, fd := range fds {
		target, _ := os.Readlink(fd)
		if s, ok := strings.CutPrefix(target, "socket:["); ok {
			inodes[strings.TrimSuffix(s, "]")] = true
		}
	}
	return inodes
}

// TestGuestIsCutOff checks that the guest reaches neither this host nor beyond.
func TestGuestIsCutOff(t *testing.T) {
	ctx := context.Background()
	g := ready(t, ctx, specFor(t))
	must(t, ctx, g, "ip route add default via 10.0.2.2")
	for _, target := range []string{"10.0.2.2 " + strconv.Itoa(int(g.link.config.Port)), "10.0.2.3 53", "192.0.2.1 80"} {
		res, err := g.Run(ctx, "nc -w 3 "+target+" </dev/null")
		if err != nil || res.Status == 0 {
			t.Errorf("the guest reached %s: status %d, %v", target, res.Status, err)
		}
	}
}

// TestHostKeyPinned checks that a server with another key is not talked to, and
// that a client with another key is not let in.
func TestHostKeyPinned(t *testing.T) {
	ctx := context.Background()
	g := ready(t, ctx, specFor(t))
	other, err := newRunKeys()
	if err != nil {
		t.Fatal(err)
	}
	config := *g.link.config
	config.Callback = ssh.FixedHostKey(other.hostPublic)
	if c, err := dial(ctx, &config); err == nil {
		c.Close()
		t.Error("connected to a server with the wrong host key")
	} else if !strings.Contains(err.Error(), "host key mismatch") {
		t.Errorf("refused with %v", err)
	}
	config = *other.config(int(g.link.config.Port))
	config.Callback = g.link.config.Callback
	if c, err := dial(ctx, &config); err == nil {
		c.Close()
		t.Error("the guest let a stranger in")
	}
}

// TestByHand runs qemu-cmdline.txt: a failure's reader is told to.
func TestByHand(t *testing.T) {
	ctx := context.Background()
	spec := specFor(t)
	spec.Disks = []Disk{{SizeMiB: 16}}
	g := start(t, ctx, spec)
	g.Kill()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", filepath.Join(spec.Dir, "qemu-cmdline.txt"))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out lockedBuffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	typed := make(chan struct{})
	go func() {
		defer close(typed)
		// What is typed before the shell is there is lost, and so may be the
		// first character.
		line := "\n\necho in$((40+2))side\n"
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(500 * time.Millisecond):
			}
			if strings.Contains(out.text(), "in42side") {
				line = "\n\npoweroff -f\n"
			}
			if _, err := io.WriteString(in, line); err != nil {
				return
			}
		}
	}()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	cancel()
	<-typed
	if !strings.Contains(out.text(), "in42side") {
		t.Errorf("no shell on the console:\n%s", out.text())
	}
}
