package kernels

import (
	"context"
	_ "embed"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Perturb asks for a kernel in which races show themselves more often: the
// functions of some folders may yield where they begin and end. Seed and share
// are not part of the image; they go on the kernel's command line.
type Perturb struct {
	// Paths are folders and C files of the source tree whose functions may
	// yield, relative to its top, with slashes.
	Paths []string `json:"paths"`
}

//go:embed perturb/patchproof_perturb.c
var perturbHook []byte

// Where the hook goes in a tree, and who builds it. lib/ is built into every
// kernel, in every version.
const (
	perturbSource   = "lib/patchproof_perturb.c"
	perturbMakefile = "lib/Makefile"
)

// perturbConfig is what a perturbed kernel needs of its configuration: without
// CONFIG_PREEMPT nothing tells where a task may yield.
var perturbConfig = []struct{ name, value string }{
	{"CONFIG_PREEMPT_NONE", "n"},
	{"CONFIG_PREEMPT_VOLUNTARY", "n"},
	{"CONFIG_PREEMPT", "y"},
	{"CONFIG_SYSFS", "y"},
}

// perturbFlags returns the compiler flags of perturbed code. Functions from
// headers are left out: they are inlined everywhere, also where the caller's
// context forbids a call.
func perturbFlags() string {
	return "-finstrument-functions" +
		" -finstrument-functions-exclude-file-list=" + strings.Join(perturbExcludeFiles, ",") +
		" -finstrument-functions-exclude-function-list=" + strings.Join(perturbExcludeFunctions, ",")
}

// validate reports the first path that cannot be perturbed.
func (p *Perturb) validate() error {
	if len(p.Paths) == 0 {
		return fmt.Errorf("perturb: no folder to perturb: name one, such as fs/btrfs")
	}
	for _, name := range p.Paths {
		if !safeName(name) || path.Clean(name) != name || strings.ContainsAny(name, " \t$#\\'\"%:") {
			return fmt.Errorf("perturb: %q is no path in a kernel tree: give a folder or a C file such as fs/btrfs", name)
		}
		for _, no := range perturbForbidden {
			if name == no.path || strings.HasPrefix(name, no.path+"/") {
				return fmt.Errorf("perturb: %s cannot be perturbed: %s", name, no.why)
			}
		}
	}
	return nil
}

// digest is the part of an image's address that comes from being perturbed.
func (p *Perturb) digest() string {
	if p == nil {
		return ""
	}
	return digestOf(append([]string{"perturb", hashBytes(perturbHook), perturbFlags()}, p.sorted()...)...)
}

func (p *Perturb) sorted() []string {
	paths := slices.Clone(p.Paths)
	slices.Sort(paths)
	return slices.Compact(paths)
}

// addTo adds the hook and the changed makefiles to a variant of a tree.
func (p *Perturb) addTo(ctx context.Context, base originals, files fileSet) error {
	if p == nil {
		return nil
	}
	files[perturbSource] = sourceFile{data: perturbHook}
	if err := appendTo(ctx, base, files, perturbMakefile, "obj-y += patchproof_perturb.o"); err != nil {
		return err
	}
	for _, name := range p.sorted() {
		if err := p.addPath(ctx, base, files, name); err != nil {
			return err
		}
	}
	return nil
}

// addPath compiles one folder, with all below it, or one file with the hooks.
func (p *Perturb) addPath(ctx context.Context, base originals, files fileSet, name string) error {
	dir, line := name, "subdir-ccflags-y += "+perturbFlags()
	if object, isFile := strings.CutSuffix(path.Base(name), ".c"); isFile {
		if f, err := variantFile(ctx, base, files, name); err != nil || f.absent {
			return &SourceError{fmt.Errorf("perturb: the tree has no file %s", name)}
		}
		dir, line = path.Dir(name), "CFLAGS_"+object+".o += "+perturbFlags()
	}
	// kbuild reads Kbuild where a folder has both.
	for _, makefile := range []string{dir + "/Kbuild", dir + "/Makefile"} {
		f, err := variantFile(ctx, base, files, makefile)
		if err != nil {
			return err
		}
		if !f.absent {
			return appendTo(ctx, base, files, makefile, line)
		}
	}
	return &SourceError{fmt.Errorf("perturb: the tree has no folder %s that is built: it has neither Kbuild nor Makefile", dir)}
}

// variantFile is a file as it is in the variant so far.
func variantFile(ctx context.Context, base originals, files fileSet, name string) (sourceFile, error) {
	if f, ok := files[name]; ok {
		return f, nil
	}
	return base.original(ctx, name)
}

func appendTo(ctx context.Context, base originals, files fileSet, name, line string) error {
	f, err := variantFile(ctx, base, files, name)
	if err != nil {
		return err
	}
	if f.absent {
		return &SourceError{fmt.Errorf("perturb: the tree has no %s", name)}
	}
	f.data = append(slices.Clone(f.data), []byte("\n# added by patchproof\n"+line+"\n")...)
	files[name] = f
	return nil
}
