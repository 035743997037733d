package workloads

import (
	"path/filepath"
	"reflect"
	"strings"
)

// ShippedPrefix starts a path that names a file which comes with patchproof.
const ShippedPrefix = "shipped:"

// Expand works out the two kernels of the plan: the shared block and the
// shorthands are gone from the result. It reads no file.
func (p *Plan) Expand() (pre, post KernelSpec, err error) {
	pre, err = p.side("pre", p.Pre)
	if err != nil {
		return KernelSpec{}, KernelSpec{}, err
	}
	post, err = p.side("post", p.Post)
	if err != nil {
		return KernelSpec{}, KernelSpec{}, err
	}
	switch {
	case p.Fix != "":
		pre.Rev, post.Rev = p.Fix+"^", p.Fix
	case p.Base != "":
		pre.Rev, post.Rev = p.Base, p.Base
	}
	post.Patches = concat(post.Patches, p.Patch)
	for _, s := range []struct {
		at   string
		spec KernelSpec
	}{{"pre", pre}, {"post", post}} {
		if err := p.checkExpanded(s.at, s.spec); err != nil {
			return KernelSpec{}, KernelSpec{}, err
		}
	}
	if !reflect.DeepEqual(pre.Perturb, post.Perturb) {
		return KernelSpec{}, KernelSpec{}, p.errorf("post.perturb", "pre and post must be perturbed alike, or a difference says nothing about the patch; put perturb into kernel")
	}
	same := post
	same.Name = pre.Name
	if reflect.DeepEqual(pre, same) {
		return KernelSpec{}, KernelSpec{}, p.errorf("", "pre and post are the same kernel; give fix, patch, or different pre and post blocks")
	}
	return pre, post, nil
}

// side merges one kernel's own block over the shared one.
func (p *Plan) side(name string, own *KernelSpec) (KernelSpec, error) {
	if own == nil {
		own = &KernelSpec{}
	}
	shared := KernelSpec{}
	if p.Kernel != nil {
		shared = *p.Kernel
	}
	if (p.Fix != "" || p.Base != "") && (own.Image != "" || own.Tarball != "" || own.Rev != "" || own.Tree != "") {
		return KernelSpec{}, p.errorf(name, "%s names a source of its own, but fix or base already says where both kernels come from", name)
	}
	out := own.over(shared)
	out.Name = cmpOr(out.Name, name)
	return out, nil
}

// over returns k with what it leaves open taken from shared. Lists are added
// to the shared ones. A source of k's own replaces the shared source, and a
// ready image has no use for anything that is about building.
func (k KernelSpec) over(shared KernelSpec) KernelSpec {
	switch {
	case k.Image != "":
		shared = KernelSpec{Perturb: shared.Perturb}
	case k.Tarball != "" || k.Tree != "":
		shared.Image, shared.Vmlinux, shared.Config, shared.Modules = "", "", "", ""
		shared.Tarball, shared.Tree, shared.Rev = "", "", ""
	}
	k.Name = cmpOr(k.Name, shared.Name)
	k.Image = cmpOr(k.Image, shared.Image)
	k.Vmlinux = cmpOr(k.Vmlinux, shared.Vmlinux)
	k.Config = cmpOr(k.Config, shared.Config)
	k.Modules = cmpOr(k.Modules, shared.Modules)
	k.Tarball = cmpOr(k.Tarball, shared.Tarball)
	k.Tree = cmpOr(k.Tree, shared.Tree)
	k.Rev = cmpOr(k.Rev, shared.Rev)
	k.BaseConfig = cmpOr(k.BaseConfig, shared.BaseConfig)
	k.Patches = concat(shared.Patches, k.Patches)
	k.Fragments = concat(shared.Fragments, k.Fragments)
	k.Make = concat(shared.Make, k.Make)
	if k.Perturb == nil {
		k.Perturb = shared.Perturb
	}
	return k
}

// checkExpanded refuses a side that has no source, or two, or a patch for a
// ready image.
func (p *Plan) checkExpanded(side string, k KernelSpec) error {
	// a side that has no block of its own is described by the shared one
	at := side
	if _, hasOwn := p.src.at[side]; !hasOwn {
		at = "kernel"
	}
	if k.Image != "" && side == "post" && len(p.Patch) > 0 {
		return p.errorf("patch", "a patch cannot be applied to a ready image; give the post kernel's source, or two images")
	}
	if err := checkSource(&p.src, at, side+" kernel", k); err != nil {
		return err
	}
	return nil
}

// checkSource refuses a kernel that has no source, or two, or fields that do
// not go with its source. what names it in messages.
func checkSource(src *source, at, what string, k KernelSpec) *PositionError {
	var sources []string
	for _, s := range []struct{ name, value string }{{"image", k.Image}, {"tarball", k.Tarball}, {"tree", k.Tree}} {
		if s.value != "" {
			sources = append(sources, s.name)
		}
	}
	isBuilt := len(k.Patches)+len(k.Fragments)+len(k.Make) > 0 || k.BaseConfig != "" || k.Perturb != nil
	switch {
	case len(sources) == 0:
		return src.errorf(at, "the %s has no source; give image, tarball, or tree with rev (there or in kernel)", what)
	case len(sources) > 1:
		return src.errorf(at, "the %s has two sources, %s; give one", what, strings.Join(sources, " and "))
	case k.Tree != "" && k.Rev == "":
		return src.errorf(at, "the %s has a tree but no rev: give one, or for a pair of kernels fix, or base with patch", what)
	case k.Tree == "" && k.Rev != "":
		return src.errorf(at+".rev", "a revision needs a git tree; the %s comes from %s", what, sources[0])
	case k.Image != "" && isBuilt:
		return src.errorf(at, "the %s is a ready image: patches, base_config, fragments, make and perturb are for kernels built from source", what)
	case k.Image == "" && (k.Vmlinux != "" || k.Config != "" || k.Modules != ""):
		return src.errorf(at, "vmlinux, config and modules go with a ready image; the %s is built, use base_config and fragments", what)
	}
	return nil
}

// concat is a new list, so that two kernels never share one.
func concat(a, b List) List {
	if len(a)+len(b) == 0 {
		return nil
	}
	return append(append(make(List, 0, len(a)+len(b)), a...), b...)
}

// resolvePaths makes the plan's paths independent of the current folder of
// whoever loads it: they are relative to the folder of the plan's file.
func (p *Plan) resolvePaths() {
	dir := planDir(p.src.file)
	for _, k := range []*KernelSpec{p.Kernel, p.Pre, p.Post} {
		if k != nil {
			k.resolvePaths(dir)
		}
	}
	for i := range p.Patch {
		p.Patch[i] = resolvePath(dir, p.Patch[i])
	}
	p.Workload.Path = resolvePath(dir, p.Workload.Path)
}

// planDir is the folder that a plan's paths start from.
func planDir(file string) string {
	if strings.HasPrefix(file, ShippedPrefix) {
		return "."
	}
	return filepath.Dir(file)
}

func (k *KernelSpec) resolvePaths(dir string) {
	for _, path := range []*string{&k.Image, &k.Vmlinux, &k.Config, &k.Modules, &k.Tarball, &k.Tree} {
		*path = resolvePath(dir, *path)
	}
	if k.BaseConfig != "allnoconfig" && k.BaseConfig != "defconfig" {
		k.BaseConfig = resolvePath(dir, k.BaseConfig)
	}
	for _, list := range []List{k.Patches, k.Fragments} {
		for i := range list {
			list[i] = resolvePath(dir, list[i])
		}
	}
}

func resolvePath(dir, path string) string {
	if path == "" || filepath.IsAbs(path) || strings.HasPrefix(path, ShippedPrefix) {
		return path
	}
	return filepath.Join(dir, path)
}
