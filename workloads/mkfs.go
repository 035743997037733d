package workloads

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// mkfsForce is the option that makes mkfs overwrite what is there, for every
// file system that a workload can make.
var mkfsForce = map[string]string{"btrfs": "-f", "ext2": "-qF", "ext3": "-qF", "ext4": "-qF", "xfs": "-qf", "f2fs": "-qf"}

func mkfsFileSystems() []string { return slices.Sorted(maps.Keys(mkfsForce)) }

func mkfsProgram(fs string) string { return "mkfs." + fs }

// version is a kernel version as far as feature tables go; zero is unknown.
type version struct{ major, minor, patch int }

func (v version) String() string {
	if v.patch != 0 {
		return fmt.Sprintf("%d.%d.%d", v.major, v.minor, v.patch)
	}
	return fmt.Sprintf("%d.%d", v.major, v.minor)
}

// before reports whether v is older than w.
func (v version) before(w version) bool {
	return cmp.Or(cmp.Compare(v.major, w.major), cmp.Compare(v.minor, w.minor), cmp.Compare(v.patch, w.patch)) < 0
}

// mkfsFeature is one line of mkfs.btrfs's table. Versions are of the kernel:
// the first that mounts the file system, the first that btrfs-progs calls safe
// with it, and the one since which mkfs switches it on by itself.
type mkfsFeature struct {
	name                      string
	compat, safe, defaultFrom version
	// option is the option of mkfs.btrfs that knows the feature, -O or -R.
	option string
}

// needs is the kernel from which a feature that nobody asked for may stay on:
// the first one that is called safe, or failing that one which can mount it.
func (f mkfsFeature) needs() version {
	if f.safe != (version{}) {
		return f.safe
	}
	return f.compat
}

// featureLine is a line of the table, such as
// "no-holes  - no explicit hole extents for files (compat=3.14, safe=4.0, default=5.15)".
var (
	featureLine = regexp.MustCompile(`^\s*([a-z0-9][a-z0-9-]*)\s+- .*?(?:\(([^()]*)\))?\s*$`)
	featureNote = regexp.MustCompile(`\b(compat|safe|default)=(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?`)
)

// parseMkfsFeatures reads the output of "mkfs.btrfs -O list-all" (option "-O")
// or "-R list-all" (option "-R"). Lines that are no table rows are skipped.
func parseMkfsFeatures(text, option string) []mkfsFeature {
	var features []mkfsFeature
	for line := range strings.Lines(text) {
		m := featureLine.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
		if m == nil {
			continue
		}
		f := mkfsFeature{name: m[1], option: option}
		for _, note := range featureNote.FindAllStringSubmatch(m[2], -1) {
			v := version{atoi(note[2]), atoi(note[3]), atoi(note[4])}
			switch note[1] {
			case "compat":
				f.compat = v
			case "safe":
				f.safe = v
			case "default":
				f.defaultFrom = v
			}
		}
		features = append(features, f)
	}
	return features
}

// atoi reads digits that a pattern has matched; none is 0.
func atoi(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

// features is what the tools know, each once. Newer btrfs-progs list the
// runtime features under both options: -O is the one that stays.
func (t Tools) features() []mkfsFeature {
	all := parseMkfsFeatures(t.MkfsFeatures, "-O")
	for _, f := range parseMkfsFeatures(t.MkfsRuntimeFeatures, "-R") {
		if !slices.ContainsFunc(all, func(o mkfsFeature) bool { return o.name == f.name }) {
			all = append(all, f)
		}
	}
	return all
}

func (t Tools) kernel() version { return version{t.KernelMajor, t.KernelMinor, 0} }

// btrfsFeatures chooses the feature options of mkfs.btrfs for the guest's
// kernel: what the phase asks for, and every feature that mkfs would switch on
// by itself but the kernel is too old for switched off.
func (c *compiler) btrfsFeatures(m *Mkfs, at string) ([]string, *PositionError) {
	known := c.tools.features()
	kernel := c.tools.kernel()
	chosen := map[string][]string{}
	asked := map[string]bool{}
	for i, word := range m.Features {
		name := strings.TrimPrefix(word, "^")
		asked[name] = true
		k := slices.IndexFunc(known, func(f mkfsFeature) bool { return f.name == name })
		switch {
		case k < 0 && len(known) == 0:
			chosen["-O"] = append(chosen["-O"], word)
			continue
		case k < 0:
			return nil, c.errorf(indexed(at+".features", i), "mkfs.btrfs %s has no feature %q%s", c.tools.BtrfsProgsVersion, name, didYouMean(name, featureNames(known)))
		case name == word && kernel != (version{}) && kernel.before(known[k].compat):
			return nil, c.errorf(indexed(at+".features", i), "feature %q needs Linux %v, the guest's kernel is %v: leave the feature out or test a newer kernel", name, known[k].compat, kernel)
		}
		chosen[known[k].option] = append(chosen[known[k].option], word)
	}
	for _, f := range known {
		isDefault := f.defaultFrom != (version{})
		if isDefault && !asked[f.name] && kernel != (version{}) && kernel.before(f.needs()) {
			chosen[f.option] = append(chosen[f.option], "^"+f.name)
		}
	}
	var words []string
	for _, option := range []string{"-O", "-R"} {
		if len(chosen[option]) > 0 {
			words = append(words, option, strings.Join(chosen[option], ","))
		}
	}
	return words, nil
}

func featureNames(features []mkfsFeature) []string {
	names := make([]string, len(features))
	for i, f := range features {
		names[i] = f.name
	}
	return names
}

// The magic of a btrfs superblock stands 64 bytes into the first copy, which
// is 64 KiB into the device (Documentation of the on-disk format: btrfs wiki,
// "struct btrfs_super_block"); dd reads it as block 8200 of 8 bytes.
const (
	btrfsMagic    = "_BHRfS_M"
	magicMark     = "patchproof superblock: "
	magicReadback = "{ printf '" + magicMark + "'; dd if=%s bs=8 skip=8200 count=1 2>/dev/null; echo; }"
)

func (c *compiler) mkfs(m *Mkfs, at string) (Step, *PositionError) {
	device := cmpOr(m.Device, DefaultDevice)
	words := []string{mkfsProgram(m.FS), mkfsForce[m.FS]}
	if m.FS == "btrfs" {
		features, err := c.btrfsFeatures(m, at)
		if err != nil {
			return Step{}, err
		}
		words = append(words, features...)
	}
	words = append(append(words, m.Options...), device)
	s := Step{
		Command: quoteWords(words),
		Checks:  []string{"exit status 0"},
		Check:   checkStatus(mkfsProgram(m.FS), 0),
	}
	if m.FS == "btrfs" {
		s.Command = lines(s.Command, fmt.Sprintf(magicReadback, quote(device)))
		s.Checks = append(s.Checks, "a btrfs superblock is on "+device)
		s.Check = both(s.Check, func(out Output) error {
			if !strings.Contains(out.Stdout, magicMark+btrfsMagic) {
				return fmt.Errorf("mkfs.btrfs succeeded, but %s has no btrfs superblock", device)
			}
			return nil
		})
	}
	return s, nil
}
