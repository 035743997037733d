package kernels

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Values of Spec.BaseConfig that name a make target and not a file.
const (
	AllNoConfig = "allnoconfig" // everything off but what the fragments ask for; the default
	DefConfig   = "defconfig"   // the architecture's default
)

// Spec is what the user asked for: exactly one source, and for sources that
// are built, an optional patch series, a configuration and make variables.
type Spec struct {
	// Image is a ready bzImage. Vmlinux and Config are its optional companions:
	// the ELF file with symbols and the .config that it was built with. Modules
	// is its lib/modules/RELEASE, for one that cannot drive a guest without.
	Image   string `yaml:"image,omitempty" json:"image,omitempty"`
	Vmlinux string `yaml:"vmlinux,omitempty" json:"vmlinux,omitempty"`
	Config  string `yaml:"config,omitempty" json:"config,omitempty"`
	Modules string `yaml:"modules,omitempty" json:"modules,omitempty"`

	// Tarball is a kernel source archive: .tar, .tar.gz, .tar.xz and what else
	// the host's tar can read.
	Tarball string `yaml:"tarball,omitempty" json:"tarball,omitempty"`

	// Tree is a git repository of the user's, which is only read; Rev is the
	// revision to build, in any form that git rev-parse takes.
	Tree string `yaml:"tree,omitempty" json:"tree,omitempty"`
	Rev  string `yaml:"rev,omitempty" json:"rev,omitempty"`

	// Patches is a series of diffs or mails, applied in order.
	Patches []string `yaml:"patches,omitempty" json:"patches,omitempty"`

	// BaseConfig is AllNoConfig (also when empty), DefConfig, or the path of a
	// .config. Fragments are paths of files that are merged over it in order.
	BaseConfig string   `yaml:"base_config,omitempty" json:"base_config,omitempty"`
	Fragments  []string `yaml:"fragments,omitempty" json:"fragments,omitempty"`

	// Make holds make variables, such as "CC=gcc-11" or "LLVM=1".
	Make []string `yaml:"make,omitempty" json:"make,omitempty"`
	// Perturb asks for a kernel that makes races show themselves; nil for a
	// plain one.
	Perturb *Perturb `yaml:"perturb,omitempty" json:"perturb,omitempty"`
}

var makeVariable = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*)=`)

// reservedMake are the make variables that the build itself sets, with the
// reason that is shown to a user who sets them.
var reservedMake = map[string]string{
	"O":                 "the build folder is chosen by the cache",
	"KBUILD_OUTPUT":     "the build folder is chosen by the cache",
	"M":                 "external modules are not built",
	"KBUILD_EXTMOD":     "external modules are not built",
	"KCONFIG_CONFIG":    "give the configuration as base_config or fragments",
	"KCONFIG_ALLCONFIG": "give the configuration as base_config or fragments",
	"SHELL":             "the recipes are written for /bin/sh",
	"MAKEFLAGS":         "give the number of jobs with -j",
}

// Validate checks the combination of fields and that the named files exist.
// Its error has one line for each thing that is wrong.
func (s Spec) Validate() error {
	errs := s.checkSource()
	if s.Image == "" {
		errs = append(errs, s.checkBuild()...)
		if s.Perturb != nil {
			errs = append(errs, s.Perturb.validate())
		}
	} else if s.Perturb != nil {
		errs = append(errs, fmt.Errorf("kernel image %s is ready: only kernels built from source can be perturbed", s.Image))
	}
	errs = append(errs, s.checkFiles()...)
	return errors.Join(errs...)
}

func (s Spec) checkSource() []error {
	var given []string
	for _, f := range []struct{ name, value string }{
		{"image", s.Image}, {"tarball", s.Tarball}, {"tree", s.Tree},
	} {
		if f.value != "" {
			given = append(given, f.name)
		}
	}
	var errs []error
	switch {
	case len(given) == 0:
		errs = append(errs, errors.New("kernel has no source: give one of image (a bzImage), tarball, or tree and rev"))
	case len(given) > 1:
		errs = append(errs, fmt.Errorf("kernel has %d sources (%s): give only one of them", len(given), strings.Join(given, ", ")))
	}
	if s.Tree != "" && s.Rev == "" {
		errs = append(errs, fmt.Errorf("kernel tree %s has no rev: name the revision to build, for example rev: v6.1", s.Tree))
	}
	if s.Rev != "" && s.Tree == "" {
		errs = append(errs, fmt.Errorf("kernel rev %s has no tree: name the git repository that it is in", s.Rev))
	}
	if s.Image == "" {
		for _, f := range []struct{ name, value, hint string }{
			{"vmlinux", s.Vmlinux, "a built kernel gets its own"},
			{"config", s.Config, "use base_config for a kernel that is to be built"},
			{"modules", s.Modules, "build in what guests need"},
		} {
			if f.value != "" {
				errs = append(errs, fmt.Errorf("kernel %s %s belongs to a ready image: %s", f.name, f.value, f.hint))
			}
		}
		return errs
	}
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"patches", len(s.Patches) > 0}, {"fragments", len(s.Fragments) > 0},
		{"base_config", s.BaseConfig != ""}, {"make", len(s.Make) > 0},
	} {
		if f.set {
			errs = append(errs, fmt.Errorf("kernel image %s is ready-made and cannot take %s: give a tarball or a tree to build from", s.Image, f.name))
		}
	}
	return errs
}

func (s Spec) checkBuild() []error {
	var errs []error
	seen := map[string]bool{}
	for _, word := range s.Make {
		m := makeVariable.FindStringSubmatch(word)
		if m == nil {
			errs = append(errs, fmt.Errorf("kernel make word %q is not NAME=value: only variables can be passed, not targets or options", word))
			continue
		}
		if why, ok := reservedMake[m[1]]; ok {
			errs = append(errs, fmt.Errorf("kernel make variable %s cannot be set: %s", m[1], why))
		}
		if seen[m[1]] {
			errs = append(errs, fmt.Errorf("kernel make variable %s is given twice", m[1]))
		}
		seen[m[1]] = true
		if strings.ContainsAny(word, "\n\x00") {
			errs = append(errs, fmt.Errorf("kernel make variable %s contains a line break", m[1]))
		}
	}
	if _, err := s.architecture(); err != nil {
		errs = append(errs, err)
	}
	return errs
}

func (s Spec) checkFiles() []error {
	var errs []error
	check := func(what, path, hint string) {
		if path == "" {
			return
		}
		info, err := os.Stat(path)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("kernel %s %s: %w%s", what, path, bareError(err), hint))
		case info.IsDir():
			errs = append(errs, fmt.Errorf("kernel %s %s is a folder, not a file", what, path))
		}
	}
	check("image", s.Image, "")
	check("vmlinux", s.Vmlinux, "")
	check("config", s.Config, "")
	check("tarball", s.Tarball, tarballHint(s.Tarball))
	for _, p := range s.Patches {
		check("patch", p, "")
	}
	for _, p := range s.Fragments {
		check("config fragment", p, "")
	}
	if !slices.Contains([]string{"", AllNoConfig, DefConfig}, s.BaseConfig) {
		check("base_config", s.BaseConfig, " (or use allnoconfig or defconfig)")
	}
	if s.Modules != "" {
		if info, err := os.Stat(s.Modules); err != nil {
			errs = append(errs, fmt.Errorf("kernel modules %s: %w: name the folder lib/modules/RELEASE of the image", s.Modules, bareError(err)))
		} else if !info.IsDir() {
			errs = append(errs, fmt.Errorf("kernel modules %s is not a folder: name lib/modules/RELEASE of the image", s.Modules))
		}
	}
	if s.Tree != "" {
		if err := checkTreeFolder(s.Tree); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// checkTreeFolder checks that a git tree is a folder at all.
func checkTreeFolder(tree string) error {
	if info, err := os.Stat(tree); err != nil {
		return fmt.Errorf("kernel tree %s: %w: name a git repository with kernel sources", tree, bareError(err))
	} else if !info.IsDir() {
		return fmt.Errorf("kernel tree %s is not a folder: use tarball for an archive", tree)
	}
	return nil
}

// debianSource matches the names under which Debian ships kernel sources.
var debianSource = regexp.MustCompile(`^(linux-source-\d+\.\d+)\.tar\.xz$`)

func tarballHint(path string) string {
	if m := debianSource.FindStringSubmatch(filepath.Base(path)); m != nil {
		return ": install it with apt-get install " + m[1] + " (it goes to /usr/src)"
	}
	return ": check the path, or install a kernel source package such as linux-source-6.1"
}

// bareError drops the operation and path that a *PathError repeats.
func bareError(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// makeValue returns the value of a make variable of the spec.
func (s Spec) makeValue(name string) (string, bool) {
	for _, word := range s.Make {
		if v, ok := strings.CutPrefix(word, name+"="); ok {
			return v, true
		}
	}
	return "", false
}

// architecture describes what make builds for one ARCH.
type architecture struct {
	source string // folder under arch/
	target string // make target of the bootable image
	image  string // its path in the build folder
}

// architectures by the values of ARCH that kbuild takes; the empty one is the
// host's, which this project supports on x86-64 only.
var architectures = map[string]architecture{
	"":       {"x86", "bzImage", "arch/x86/boot/bzImage"},
	"x86_64": {"x86", "bzImage", "arch/x86/boot/bzImage"},
	"x86":    {"x86", "bzImage", "arch/x86/boot/bzImage"},
	"i386":   {"x86", "bzImage", "arch/x86/boot/bzImage"},
	"arm64":  {"arm64", "Image", "arch/arm64/boot/Image"},
	"riscv":  {"riscv", "Image", "arch/riscv/boot/Image"},
}

func (s Spec) architecture() (architecture, error) {
	arch, _ := s.makeValue("ARCH")
	a, ok := architectures[arch]
	if !ok {
		return architecture{}, fmt.Errorf("kernel make variable ARCH=%s is not supported: use x86_64, i386, arm64 or riscv", arch)
	}
	return a, nil
}

// SourceError says that what was named as a kernel's source is none, or does
// not have the revision asked for.
type SourceError struct{ Err error }

// Error implements error.
func (e *SourceError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *SourceError) Unwrap() error { return e.Err }
