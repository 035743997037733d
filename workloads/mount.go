package workloads

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

func (c *compiler) mount(m *Mount) Step {
	device, target := cmpOr(m.Device, DefaultDevice), cmpOr(m.Target, DefaultTarget)
	words := []string{"mount", "-t", m.FS}
	if len(m.Options) > 0 {
		words = append(words, "-o", strings.Join(m.Options, ","))
	}
	words = append(words, device, target)
	checks := []string{"exit status 0", fmt.Sprintf("/proc/mounts shows %s at %s, %s", m.FS, target, access(m.Options))}
	if len(m.Options) > 0 {
		checks = append(checks, "with the options asked for: "+strings.Join(m.Options, ", "))
	}
	return Step{
		Command: lines(quoteWords([]string{"mkdir", "-p", target}), quoteWords(words), "cat /proc/mounts"),
		Checks:  checks,
		Check: func(out Output) error {
			if out.Status != 0 {
				return fmt.Errorf("%w%s", statusError("mount", out), mountHint(m.FS, out.Stderr))
			}
			return checkMounted(parseMounts(out.Stdout), m.FS, target, m.Options)
		},
	}
}

func (c *compiler) umount(u *Umount) Step {
	target := cmpOr(u.Target, DefaultTarget)
	return Step{
		Command: lines(quoteWords([]string{"umount", target}), "cat /proc/mounts"),
		Checks:  []string{"exit status 0", target + " is no longer in /proc/mounts"},
		Check: both(checkStatus("umount", 0), func(out Output) error {
			if m, ok := mountAt(parseMounts(out.Stdout), target); ok {
				return fmt.Errorf("umount succeeded, but %s is still mounted at %s", m.fs, target)
			}
			return nil
		}),
	}
}

// mountHint explains the two errors of mount(2) that say least.
func mountHint(fs, stderr string) string {
	switch {
	case strings.Contains(stderr, "No such device"), strings.Contains(stderr, "unknown filesystem"):
		return fmt.Sprintf(" (the guest's kernel has no %s: build it in)", fs)
	case strings.Contains(stderr, "Invalid argument"):
		return " (the kernel log says why: an option or a feature of the file system that this kernel does not know)"
	}
	return ""
}

// access says in words how a mount with these options may be used.
func access(options []string) string {
	if slices.Contains(options, "ro") {
		return "read-only"
	}
	return "read-write"
}

// mounted is one line of /proc/mounts.
type mounted struct {
	device, target, fs string
	options            []string
}

// mountEscapes undoes the octal escapes of /proc/mounts.
var mountEscapes = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\043`, "#", `\134`, `\`)

// parseMounts reads /proc/mounts and skips lines of any other form.
func parseMounts(text string) []mounted {
	var all []mounted
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) != 6 {
			continue
		}
		all = append(all, mounted{
			device: mountEscapes.Replace(f[0]), target: mountEscapes.Replace(f[1]),
			fs: f[2], options: strings.Split(mountEscapes.Replace(f[3]), ","),
		})
	}
	return all
}

// mountAt finds what is visible at target: the last mount on it.
func mountAt(all []mounted, target string) (mounted, bool) {
	for _, m := range slices.Backward(all) {
		if m.target == path.Clean(target) {
			return m, true
		}
	}
	return mounted{}, false
}

func checkMounted(all []mounted, fs, target string, asked []string) error {
	m, ok := mountAt(all, target)
	switch {
	case !ok:
		return fmt.Errorf("mount succeeded, but /proc/mounts has nothing at %s", target)
	case m.fs != fs:
		return fmt.Errorf("%s at %s, expected %s", m.fs, target, fs)
	case !slices.Contains(asked, "ro") && !slices.Contains(m.options, "rw"):
		return fmt.Errorf("%s at %s is mounted read-only; see the kernel log", fs, target)
	}
	for _, option := range asked {
		if !optionHolds(option, m.options) {
			return fmt.Errorf("mount option %s asked for, but /proc/mounts shows %s", option, strings.Join(m.options, ","))
		}
	}
	return nil
}

// What kernels do not show. The lists follow btrfs_show_options (fs/btrfs/
// super.c) and the generic flags of fs/proc_namespace.c: options that name a
// default are shown by their absence, and some are acted upon and forgotten.
var (
	unshown = []string{"defaults", "loop", "nofail", "auto", "noauto", "user", "users", "_netdev", "clear_cache", "rescue=usebackuproot"}
	// positive defaults: shown only as no<name> when switched off
	shownWhenOff = []string{"acl", "barrier", "datacow", "datasum", "treelog", "atime", "dev", "exec", "suid"}
	// switches: shown by name when on, not at all when off
	shownWhenOn = []string{"autodefrag", "discard", "flushoncommit", "enospc_debug", "user_subvol_rm_allowed", "ssd_spread"}
	// values that are the kernel's defaults
	hiddenDefaults = []string{"commit=30", "max_inline=2048", "metadata_ratio=0", "fatal_errors=bug"}
	// options that hold when none of these is shown
	shownByAbsence = map[string][]string{
		"async": {"sync"}, "strictatime": {"relatime", "noatime"}, "norelatime": {"relatime"}, "nolazytime": {"lazytime"},
	}
	// other spellings of the same option
	optionAliases = map[string]string{
		"space_cache=v1": "space_cache", "discard=sync": "discard", "compress=no": "compress=none",
		"nologreplay": "rescue=nologreplay", "usebackuproot": "rescue=usebackuproot", "recovery": "rescue=usebackuproot",
	}
)

// optionHolds reports whether a mount option that was asked for is in force,
// given the options that /proc/mounts shows.
func optionHolds(asked string, shown []string) bool {
	asked = canonicalOption(asked)
	positive, isNegated := strings.CutPrefix(asked, "no")
	switch {
	case strings.HasPrefix(asked, "compress"):
		return compressionHolds(asked, shown)
	case slices.Contains(unshown, asked), strings.HasPrefix(asked, "x-"), strings.HasPrefix(asked, "device="):
		return true
	case slices.ContainsFunc(shown, func(s string) bool { return canonicalOption(s) == asked }):
		return true
	case shownByAbsence[asked] != nil:
		return !slices.ContainsFunc(shown, func(s string) bool { return slices.Contains(shownByAbsence[asked], s) })
	case slices.Contains(hiddenDefaults, asked), strings.HasPrefix(asked, "thread_pool="):
		// the default of thread_pool depends on the number of CPUs
		key, _, _ := strings.Cut(asked, "=")
		return !slices.ContainsFunc(shown, func(s string) bool { return s == key || strings.HasPrefix(s, key+"=") })
	case slices.Contains(shownWhenOff, asked):
		return !slices.Contains(shown, "no"+asked)
	case isNegated && slices.Contains(shownWhenOn, positive):
		return !slices.ContainsFunc(shown, func(s string) bool { return s == positive || strings.HasPrefix(s, positive+"=") })
	}
	return false
}

// canonicalOption brings spellings of one option together: aliases, numbers
// with a unit, and the leading slash of a subvolume.
func canonicalOption(option string) string {
	if alias, ok := optionAliases[option]; ok {
		return alias
	}
	key, value, hasValue := strings.Cut(option, "=")
	if !hasValue {
		return option
	}
	if key == "subvol" {
		return "subvol=/" + strings.TrimPrefix(value, "/")
	}
	if key == "max_inline" || key == "alloc_start" {
		if n, err := ParseSize(value); err == nil {
			return key + "=" + strconv.FormatInt(int64(n), 10)
		}
	}
	return option
}

// compressionHolds compares compression. Without an algorithm zlib is meant.
// Kernels from 4.12 on show the level ("zlib:3"), older ones do not have any:
// a level that was asked for must be shown, one that was not may be.
func compressionHolds(asked string, shown []string) bool {
	key, value, _ := strings.Cut(asked, "=")
	algorithm, level, _ := strings.Cut(cmpOr(value, "zlib"), ":")
	for _, s := range shown {
		shownKey, shownValue, _ := strings.Cut(s, "=")
		if shownKey != "compress" && shownKey != "compress-force" {
			continue
		}
		shownAlgorithm, shownLevel, _ := strings.Cut(shownValue, ":")
		return shownKey == key && shownAlgorithm == algorithm && (level == "" || level == shownLevel)
	}
	return algorithm == "none" || algorithm == "no"
}
