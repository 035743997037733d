package kernels

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
)

// inputs is everything that determines an image, read and resolved.
type inputs struct {
	spec     Spec
	arch     architecture
	src      source
	series   []*patchFile
	config   *configInput
	compiler string
	// pahole is part of an image's address, but not of the build folder's:
	// make itself notices another version.
	pahole string
}

// resolve reads what a spec names. It does no work that grows with the size
// of the sources, so that finding a cached image takes milliseconds.
func (s *Store) resolve(ctx context.Context, spec Spec) (*inputs, error) {
	in := &inputs{spec: spec}
	var err error
	if in.arch, err = spec.architecture(); err != nil {
		return nil, err
	}
	if in.series, err = readSeries(spec.Patches); err != nil {
		return nil, err
	}
	if in.config, err = readConfigInput(spec); err != nil {
		return nil, err
	}
	if spec.Tarball != "" {
		in.src, err = s.resolveTarball(spec.Tarball)
	} else {
		in.src, err = resolveGit(ctx, spec.Tree, spec.Rev)
	}
	if err != nil {
		return nil, err
	}
	in.pahole = paholeID(ctx, spec.Make)
	in.compiler, err = CompilerID(ctx, spec.Make)
	return in, err
}

// name is how messages call the kernel.
func (in *inputs) name() string {
	name := in.src.name()
	for _, p := range in.series {
		name += " + " + filepath.Base(p.path)
	}
	if in.spec.Perturb != nil {
		name += ", perturbed"
	}
	return name
}

// nameIn puts the names that the inputs have now into an image's provenance. An
// image of the store may have been built under others: a revision such as HEAD
// or HEAD~2 means another commit by now, and a patch file may have moved.
func (in *inputs) nameIn(p *Provenance) {
	p.Source, p.Base, p.Fragments, p.Patches = in.src.provenance(), in.config.base, in.config.fragments, nil
	for _, f := range in.series {
		p.Patches = append(p.Patches, f.info())
	}
}

// digestOf hashes a list of strings so that their boundaries count.
func digestOf(parts ...string) string {
	data, err := json.Marshal(parts)
	if err != nil {
		panic(fmt.Sprintf("kernels: strings that cannot be marshalled: %v", err)) // impossible
	}
	return hashBytes(data)
}

// imageID is the address of the image.
func (in *inputs) imageID() string {
	parts := []string{fmt.Sprint(recordFormat), in.src.identity(), in.config.digest, in.compiler, strings.Join(in.spec.Make, "\x00")}
	for _, p := range in.series {
		parts = append(parts, p.sha256)
	}
	if in.spec.Perturb != nil {
		parts = append(parts, in.spec.Perturb.digest())
	}
	if in.pahole != "" {
		parts = append(parts, in.pahole)
	}
	return digestOf(parts...)[:20]
}

// buildID is the name of the build folder: all variants of a tree share one.
func (in *inputs) buildID() string {
	return digestOf(fmt.Sprint(recordFormat), treeID(in.src), in.config.digest, in.compiler, strings.Join(in.spec.Make, "\x00"))[:16]
}
