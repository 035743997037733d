package kernels

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// killGrace is how long a cancelled command may take to clean up after itself.
// make uses it to delete the objects that it was in the middle of writing.
const killGrace = 10 * time.Second

// command describes one run of a program.
type command struct {
	name   string
	args   []string
	dir    string
	env    []string // added to the cleaned environment
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	// hold is a lock file that the program and all its children keep open, so
	// that the lock outlives a harness that is killed for as long as they live.
	hold *os.File
}

// droppedVariables are environment variables that change what make or git
// build or read. They are not part of an image's address, so children must not
// see them; what the user wants is passed through Spec.Make.
var droppedVariables = []string{
	"ARCH", "SUBARCH", "SRCARCH", "CROSS_COMPILE", "LLVM", "LLVM_IAS", "CC", "LD", "AR", "NM", "AS",
	"OBJCOPY", "OBJDUMP", "READELF", "STRIP", "HOSTCC", "HOSTCXX", "HOSTLD", "HOSTCFLAGS", "HOSTLDFLAGS",
	"CFLAGS", "CPPFLAGS", "CXXFLAGS", "LDFLAGS", "KCFLAGS", "KCPPFLAGS", "KAFLAGS", "KRUSTFLAGS",
	"CPATH", "C_INCLUDE_PATH", "LIBRARY_PATH", "GCC_EXEC_PREFIX", "COMPILER_PATH", "LOCALVERSION",
	"MAKEFLAGS", "MFLAGS", "GNUMAKEFLAGS", "MAKELEVEL", "MAKEFILES", "O", "V", "C", "W", "M",
	"SOURCE_DATE_EPOCH", "TAR_OPTIONS",
}

var droppedPrefixes = []string{"KBUILD_", "KCONFIG_", "CONFIG_", "GIT_", "INSTALL_", "LC_", "LANG"}

// cleanEnviron filters an environment as droppedVariables says, fixes the
// language, so that messages can be recognised, and adds extra.
func cleanEnviron(environ, extra []string) []string {
	out := make([]string, 0, len(environ)+len(extra)+1)
next:
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		for _, d := range droppedVariables {
			if name == d {
				continue next
			}
		}
		for _, p := range droppedPrefixes {
			if strings.HasPrefix(name, p) {
				continue next
			}
		}
		out = append(out, kv)
	}
	out = append(out, "LC_ALL=C")
	return append(out, extra...)
}

// run runs a program in a process group of its own and waits for it. When ctx
// ends, the whole group gets SIGTERM and, after killGrace, SIGKILL. The
// program also gets SIGTERM when the harness dies.
func (c command) run(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// The parent-death signal is tied to the thread that starts the child.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	cmd := exec.Command(c.name, c.args...)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = c.dir, c.stdin, c.stdout, c.stderr
	cmd.Env = cleanEnviron(cmd.Environ(), c.env)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if c.hold != nil {
		cmd.ExtraFiles = []*os.File{c.hold}
	}
	cmd.WaitDelay = killGrace
	if err := cmd.Start(); err != nil {
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) && strings.Contains(c.name, "/") {
			return missingProgram(c.name)
		}
		return err
	}
	stop := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		watchGroup(ctx, cmd.Process.Pid, stop)
	}()
	err := cmd.Wait()
	close(stop)
	<-watched
	if ctx.Err() != nil {
		// What of the group still runs has had its SIGTERM and lost its parent.
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		err = ctx.Err()
	}
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() && ws.Signal() != syscall.SIGTERM {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		return fmt.Errorf("%s %w: %w", c.name, errKilled, err)
	}
	return err
}

// errKilled says that a program had no time to clean up after itself: it died of
// another signal than the one that asks it to end.
var errKilled = errors.New("was killed")

// watchGroup ends the process group of pid when ctx ends before stop.
func watchGroup(ctx context.Context, pid int, stop <-chan struct{}) {
	select {
	case <-stop:
		return
	case <-ctx.Done():
	}
	syscall.Kill(-pid, syscall.SIGTERM)
	select {
	case <-stop:
	case <-time.After(killGrace):
		syscall.Kill(-pid, syscall.SIGKILL)
	}
}

// output runs the program and returns its standard output. The error of a
// program that fails holds what it wrote to standard error.
func (c command) output(ctx context.Context) ([]byte, error) {
	var out, errs bytes.Buffer
	c.stdout, c.stderr = &out, &errs
	err := c.run(ctx)
	if err == nil {
		return out.Bytes(), nil
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return out.Bytes(), &toolError{c.name, exit.ExitCode(), strings.TrimSpace(errs.String())}
	}
	return out.Bytes(), err
}

// toolError is the failure of a short-lived program.
type toolError struct {
	name   string
	status int
	stderr string
}

func (e *toolError) Error() string {
	if e.stderr == "" {
		return fmt.Sprintf("%s ended with status %d", e.name, e.status)
	}
	return fmt.Sprintf("%s: %s", e.name, e.stderr)
}

// toolPackages are the Debian packages of the programs and headers that a
// kernel build calls for.
var toolPackages = map[string]string{
	"make": "make", "gcc": "gcc", "clang": "clang", "ld": "binutils", "ld.lld": "lld", "flex": "flex", "bison": "bison",
	"bc": "bc", "perl": "perl", "python3": "python3", "cpio": "cpio", "rsync": "rsync", "git": "git", "tar": "tar",
	"xz": "xz-utils", "lzma": "xz-utils", "zstd": "zstd", "zstd22": "zstd", "lz4": "lz4", "lz4c": "lz4", "lzop": "lzop",
	"bzip2": "bzip2", "gzip": "gzip", "pahole": "dwarves", "openssl": "openssl", "kmod": "kmod", "depmod": "kmod",
	"m4": "m4", "awk": "gawk", "as": "binutils", "objcopy": "binutils", "nm": "binutils", "ar": "binutils",
	"libelf.h": "libelf-dev", "gelf.h": "libelf-dev", "openssl/bio.h": "libssl-dev", "openssl/opensslv.h": "libssl-dev",
	"openssl/evp.h": "libssl-dev", "gmp.h": "libgmp-dev", "mpc.h": "libmpc-dev", "gcc-plugin.h": "gcc-plugin-dev",
	"dwarf.h": "libdw-dev", "zlib.h": "zlib1g-dev", "ncurses.h": "libncurses-dev",
}

// aptHint says how to install a program or header; it is empty when unknown.
func aptHint(tool string) string {
	if pkg, ok := toolPackages[tool]; ok {
		return "apt-get install " + pkg
	}
	if strings.HasPrefix(tool, "gcc-") || strings.HasPrefix(tool, "clang-") {
		return "apt-get install " + tool
	}
	if strings.HasSuffix(tool, "-gcc") {
		return "apt-get install gcc-" + strings.TrimSuffix(tool, "-gcc")
	}
	return ""
}

func missingProgram(name string) error {
	if hint := aptHint(name); hint != "" {
		return fmt.Errorf("%s is not installed: %s", name, hint)
	}
	return fmt.Errorf("%s is not installed or not in PATH", name)
}
