package workloads

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Names lists the shipped files of a kind ("workloads" or "plans") by the
// names that flags and plans use for them.
func Names(shipped fs.FS, kind string) []string {
	files, _ := fs.Glob(shipped, kind+"/*.yaml") // the pattern is well formed
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = strings.TrimSuffix(path.Base(f), ".yaml")
	}
	return names
}

// ReadShipped reads a shipped workload or plan by name. The first result is
// the name to give to the loader.
func ReadShipped(shipped fs.FS, kind, name string) (file string, data []byte, err error) {
	file = kind + "/" + name + ".yaml"
	if !fs.ValidPath(file) {
		return "", nil, fmt.Errorf("%s is not the name of a shipped file", shorten(name))
	}
	data, err = fs.ReadFile(shipped, file)
	if err != nil {
		names := Names(shipped, kind)
		return "", nil, fmt.Errorf("nothing named %q is shipped in %s%s (shipped: %s)",
			name, kind, didYouMean(name, names), strings.Join(names, ", "))
	}
	return ShippedPrefix + file, data, nil
}

// ReadFile reads a plan or workload, and no more of it than one can have: what
// is longer fails when it is parsed.
func ReadFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxDocumentBytes+1))
}

// read finds the file of a reference that is not inline. The first result is
// the name to use in messages.
func (r WorkloadRef) read(shipped fs.FS) (file string, data []byte, err error) {
	if r.Path == "" {
		return ReadShipped(shipped, "workloads", r.Name)
	}
	if name, isShipped := strings.CutPrefix(r.Path, ShippedPrefix); isShipped {
		data, err = fs.ReadFile(shipped, name)
	} else {
		data, err = ReadFile(r.Path)
	}
	if err != nil {
		return "", nil, fmt.Errorf("read workload: %w", err)
	}
	return r.Path, data, nil
}

// Open loads the workload that a reference names, with values for some of its
// variables. The file may also be a plan that holds its workload.
func (r WorkloadRef) Open(shipped fs.FS, vars map[string]string) (*Workload, error) {
	if r.Inline != nil {
		return r.Inline, nil
	}
	file, data, err := r.read(shipped)
	if err != nil {
		return nil, err
	}
	doc, err := parseDocument(file, data)
	if err != nil {
		return nil, err
	}
	return decodeWorkload(doc.workload(), vars)
}

// OpenWorkload loads the plan's workload and gives it the plan's variables,
// guest, signatures and benign reports: the result is what runs.
func (p *Plan) OpenWorkload(shipped fs.FS) (*Workload, error) {
	if w := p.Workload.Inline; w != nil {
		if _, err := p.workloadVariables(nil); err != nil {
			return nil, err
		}
		return p.applyChecked(w)
	}
	file, data, err := p.Workload.read(shipped)
	if err != nil {
		if p.replaced {
			return nil, &PositionError{Message: err.Error()}
		}
		return nil, p.errorf("workload", "%v", err)
	}
	doc, err := parseDocument(file, data)
	if err != nil {
		return nil, err
	}
	doc = doc.workload()
	declared, err := doc.declaredVariables()
	if err != nil {
		return nil, err
	}
	vars, err := p.workloadVariables(declared)
	if err != nil {
		return nil, err
	}
	w, err := decodeWorkload(doc, vars)
	if err != nil {
		return nil, err
	}
	return p.applyChecked(w)
}

// workloadVariables picks the plan's variables that the workload declares.
// One that neither the plan nor its workload uses is a mistake.
func (p *Plan) workloadVariables(declared map[string]bool) (map[string]string, error) {
	names := slices.Sorted(maps.Keys(declared))
	vars := map[string]string{}
	own := slices.AppendSeq(slices.Collect(maps.Keys(p.Variables)), maps.Keys(p.unset))
	slices.Sort(own)
	for _, name := range own {
		switch {
		case declared[name] && p.unset[name]:
			return nil, p.errorf("variables."+name, noValue, name, name)
		case declared[name]:
			vars[name] = p.Variables[name]
		case !p.used[name]:
			return nil, p.errorf("variables."+name, "variable %q is used neither by the plan nor by workload %s%s", name, p.Workload, didYouMean(name, names))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.extra)) {
		if !declared[name] {
			return nil, &PositionError{Message: fmt.Sprintf("no variable %q in plan %s or workload %s%s", name, p.Name, p.Workload, didYouMean(name, names))}
		}
		vars[name] = p.extra[name]
	}
	return vars, nil
}

// Apply returns a copy of w with what the plan says about the guest and about
// reports.
func (p *Plan) Apply(w *Workload) *Workload {
	out := *w
	out.Defaults = p.Guest.Over(w.Defaults).Over(FallbackGuest())
	if len(p.Signatures) > 0 {
		out.Signatures = p.Signatures
	}
	if len(p.Consequences) > 0 {
		out.Consequences = p.Consequences
	}
	out.Benign = append(slices.Clone(w.Benign), p.Benign...)
	out.Snapshot = cmpOr(p.Snapshot, w.Snapshot)
	out.Tune = p.Tune.Over(w.Tune)
	return &out
}

// applyChecked is Apply with a check of what only plan and workload together
// can be checked for.
func (p *Plan) applyChecked(w *Workload) (*Workload, error) {
	if err := p.checkKnobs(w); err != nil {
		return nil, err
	}
	out := p.Apply(w)
	if err := out.Defaults.check(&p.src, "guest"); err != nil {
		return nil, err
	}
	if problem := out.snapshotProblem(p.Snapshot); problem != "" {
		return nil, p.errorf("snapshot", "%s, in workload %s", problem, p.Workload)
	}
	return out, nil
}

// Materialize writes every shipped file that k names into dir and returns k
// with paths that can be opened. Files keep their place below dir, so that
// messages about them still say which they are; their content decides nothing
// else, and writing them twice is harmless.
func (k KernelSpec) Materialize(shipped fs.FS, dir string) (KernelSpec, error) {
	k.Patches, k.Fragments = slices.Clone(k.Patches), slices.Clone(k.Fragments)
	paths := []*string{&k.Image, &k.Vmlinux, &k.Config, &k.Tarball, &k.BaseConfig}
	for _, list := range []List{k.Patches, k.Fragments} {
		for i := range list {
			paths = append(paths, &list[i])
		}
	}
	for _, p := range paths {
		name, isShipped := strings.CutPrefix(*p, ShippedPrefix)
		if !isShipped {
			continue
		}
		target, err := writeShipped(shipped, name, dir)
		if err != nil {
			return KernelSpec{}, err
		}
		*p = target
	}
	return k, nil
}

func writeShipped(shipped fs.FS, name, dir string) (string, error) {
	if !fs.ValidPath(name) {
		return "", fmt.Errorf("%s%s: not the name of a shipped file", ShippedPrefix, name)
	}
	data, err := fs.ReadFile(shipped, name)
	if err != nil {
		return "", errors.New(notShipped(shipped, name))
	}
	target := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return "", fmt.Errorf("write shipped file: %w", err)
	}
	if err := os.WriteFile(target, data, 0o644); err != nil {
		return "", fmt.Errorf("write shipped file: %w", err)
	}
	return target, nil
}

func notShipped(shipped fs.FS, name string) string {
	return fmt.Sprintf("%s%s is not shipped with this patchproof%s", ShippedPrefix, name, didYouMean(name, shippedFiles(shipped)))
}

// shippedFiles lists everything that is shipped, for a "did you mean".
func shippedFiles(shipped fs.FS) []string {
	var files []string
	_ = fs.WalkDir(shipped, ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files = append(files, name)
		}
		return nil
	})
	return files
}
