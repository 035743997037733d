package workloads

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Tools describes what the guest image and the guest's kernel offer.
type Tools struct {
	// SysbenchVersion is a version, or what "sysbench --version" prints.
	SysbenchVersion string
	// MkfsFeatures is what "mkfs.btrfs -O list-all" prints (to stderr).
	MkfsFeatures string
	// MkfsRuntimeFeatures is what "mkfs.btrfs -R list-all" prints; empty for
	// btrfs-progs that have no such option.
	MkfsRuntimeFeatures string
	// BtrfsProgsVersion is used in messages only.
	BtrfsProgsVersion string
	// KernelMajor and KernelMinor are the guest kernel's version; 0.0 is not
	// known, and then mkfs keeps its defaults.
	KernelMajor, KernelMinor int
}

// Step is a phase made ready for one guest.
type Step struct {
	// Phase is the index of the phase in the workload.
	Phase int
	// Name is the phase's title.
	Name string
	// Command is a complete command line for "sh -c" in the guest, as root.
	// It may have several lines.
	Command string
	// Timeout is the limit on a machine of slowdown 1; whoever runs the step
	// scales it.
	Timeout time.Duration
	// Checks says in words what Check checks.
	Checks []string
	// Check decides whether the step did what it was asked to do. A run in
	// which it did not proves nothing.
	Check func(Output) error
}

// Output is what a step's command left behind.
type Output struct {
	Stdout, Stderr string
	Status         int
	Duration       time.Duration
}

// compiler walks the phases in order and remembers what is mounted.
type compiler struct {
	w      *Workload
	tools  Tools
	mounts []mounted
}

func (c *compiler) errorf(at, format string, args ...any) *PositionError {
	return c.w.src.errorf(at, format, args...)
}

// Compile turns a workload into the command lines for the tools and kernel of
// one guest. It is pure. An error is a *PositionError: the workload asks for
// something that these tools or this kernel do not have.
func Compile(w *Workload, t Tools) ([]Step, error) {
	if err := w.Validate(); err != nil {
		return nil, err
	}
	c := &compiler{w: w, tools: t}
	steps := make([]Step, 0, len(w.Phases))
	for i := range w.Phases {
		p := &w.Phases[i]
		s, err := c.phase(p, indexed("phases", i))
		if err != nil {
			return nil, err
		}
		s.Phase, s.Name, s.Timeout = i, p.Title(), p.Limit()
		steps = append(steps, s)
	}
	return steps, nil
}

func (c *compiler) phase(p *Phase, at string) (Step, *PositionError) {
	switch {
	case p.Mkfs != nil:
		return c.mkfs(p.Mkfs, at+".mkfs")
	case p.Mount != nil:
		m := p.Mount
		c.mounts = append(c.mounts, mounted{fs: m.FS, target: cmpOr(m.Target, DefaultTarget), options: m.Options})
		return c.mount(m), nil
	case p.Umount != nil:
		target := cmpOr(p.Umount.Target, DefaultTarget)
		c.mounts = slices.DeleteFunc(c.mounts, func(m mounted) bool { return m.target == target })
		return c.umount(p.Umount), nil
	case p.Sysbench != nil:
		return c.sysbench(p.Sysbench, at+".sysbench")
	case p.Shell != nil:
		return Step{
			Command: p.Shell.Run,
			Checks:  []string{fmt.Sprintf("exit status %d", p.Shell.ExpectStatus)},
			Check:   checkStatus("command", p.Shell.ExpectStatus),
		}, nil
	case p.Sleep != nil:
		seconds := strconv.FormatFloat(time.Duration(*p.Sleep).Seconds(), 'f', -1, 64)
		return simple("sleep", "sleep "+seconds), nil
	case p.DropCaches != nil:
		mode := p.DropCaches.Mode
		if mode == 0 {
			mode = 3
		}
		return simple("drop-caches", lines("sync", fmt.Sprintf("echo %d > /proc/sys/vm/drop_caches", mode))), nil
	default:
		return simple("sync", "sync"), nil
	}
}

// workFolder is where a phase without a folder of its own works: the target of
// the last mount.
func (c *compiler) workFolder() string {
	if len(c.mounts) == 0 {
		return DefaultTarget
	}
	return c.mounts[len(c.mounts)-1].target
}

// mountOf is the file system that holds dir: the last mount on the longest
// path above it.
func (c *compiler) mountOf(dir string) mounted {
	var best mounted
	for _, m := range c.mounts {
		if isBelow(dir, m.target) && len(m.target) >= len(best.target) {
			best = m
		}
	}
	return best
}

// simple is a step whose only post-condition is its exit status.
func simple(what, command string) Step {
	return Step{Command: command, Checks: []string{"exit status 0"}, Check: checkStatus(what, 0)}
}

// both runs two checks, the second only if the first passes.
func both(first, second func(Output) error) func(Output) error {
	return func(out Output) error {
		if err := first(out); err != nil {
			return err
		}
		return second(out)
	}
}

func checkStatus(what string, expected int) func(Output) error {
	return func(out Output) error {
		switch {
		case out.Status == expected:
			return nil
		case expected != 0:
			return fmt.Errorf("%s ended with status %d, expected %d", what, out.Status, expected)
		}
		return statusError(what, out)
	}
}

// statusError says how a command failed, in its own last words.
func statusError(what string, out Output) error {
	return fmt.Errorf("%s failed (status %d)%s", what, out.Status, lastWords(out))
}

// lastWords is the last line that a failed command printed, to stderr rather
// than stdout, cut to a length that fits into a message and without control
// characters, since it comes from a guest.
func lastWords(out Output) string {
	for _, text := range []string{out.Stderr, out.Stdout} {
		all := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
		for _, line := range slices.Backward(all) {
			line = strings.Map(func(r rune) rune {
				if isControl(r) || r >= 0x80 && r < 0xa0 {
					return -1
				}
				return r
			}, strings.ToValidUTF8(line, "?"))
			if line = strings.TrimSpace(line); line == "" {
				continue
			}
			const most = 200
			if len(line) > most {
				line = strings.ToValidUTF8(line[:most], "") + "..."
			}
			return ": " + line
		}
	}
	return ""
}
