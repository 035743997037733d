package kernels

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// buildDir is a folder that make builds in, shared by all variants of a tree
// with the same configuration. It is protected by the lock of its tree.
type buildDir struct {
	dir   string // builds/ID
	state buildState
}

// buildState is build.json.
type buildState struct {
	Tree  string `json:"tree"`  // ID of the source tree
	Epoch int    `json:"epoch"` // of the tree when this folder was made
	// Running is the time at which the present make was started. It stays when
	// make or the harness did not end by themselves, and then nothing that was
	// written since can be trusted.
	Running *time.Time `json:"running,omitempty"`
	// Complete says that a build in this folder has succeeded.
	Complete bool `json:"complete,omitempty"`
}

const buildStateFile = "build.json"

func (b *buildDir) out() string { return filepath.Join(b.dir, "out") }

// openBuildDir makes the folder ready for a build from the locked tree t.
func (s *Store) openBuildDir(id string, t *tree) (*buildDir, error) {
	b := &buildDir{dir: s.path(buildsDir, id)}
	data, err := os.ReadFile(filepath.Join(b.dir, buildStateFile))
	if err == nil {
		err = json.Unmarshal(data, &b.state)
	}
	fresh := buildState{Tree: filepath.Base(t.dir), Epoch: t.state.Epoch}
	if err != nil || b.state.Epoch != fresh.Epoch || b.state.Tree != fresh.Tree {
		if err := os.RemoveAll(b.dir); err != nil {
			return nil, fmt.Errorf("kernel cache: %w", err)
		}
		b.state = fresh
	}
	if err := os.MkdirAll(b.out(), 0o755); err != nil {
		return nil, fmt.Errorf("kernel cache: %w", err)
	}
	if b.state.Running != nil {
		if err := b.discardSince(*b.state.Running); err != nil {
			return nil, fmt.Errorf("cleaning build folder %s after a build that was killed: %w", b.dir, err)
		}
		b.state.Running = nil
	}
	touch(filepath.Join(b.dir, usedFile))
	return b, b.save()
}

func (b *buildDir) save() error {
	data, err := json.Marshal(b.state)
	if err == nil {
		err = writeFileAtomic(filepath.Join(b.dir, buildStateFile), append(data, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("build folder %s: %w", b.dir, err)
	}
	return nil
}

// discardSince removes all files that were written at or after a time: a make
// that was killed may have left an object that looks finished and is not.
func (b *buildDir) discardSince(since time.Time) error {
	limit := since.Add(-time.Second)
	return filepath.WalkDir(b.out(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || info.ModTime().Before(limit) {
			return err
		}
		return os.Remove(path)
	})
}

// begin notes that make is about to run, end that it has ended by itself.
func (b *buildDir) begin() error {
	now := time.Now()
	b.state.Running = &now
	return b.save()
}

func (b *buildDir) end() error {
	b.state.Running = nil
	return b.save()
}

// builder is what one build works with.
type builder struct {
	store   *Store
	in      *inputs
	opts    BuildOptions
	tree    *tree
	dir     *buildDir
	log     *os.File
	report  func(Progress)
	objects int // compiled so far
}

func (b *builder) make(ctx context.Context, stage string, env []string, targets ...string) error {
	return makeRun{
		kernel: b.in.name(), stage: stage, tree: b.tree.sources(), out: b.dir.out(),
		jobs: defaultJobs(b.opts.Jobs), vars: b.in.spec.Make, targets: targets, env: env,
		log: b.log, logPath: b.log.Name(), tee: b.opts.Log,
		// Children keep the tree locked: a make that outlives its harness for a
		// moment must not meet the next harness's.
		command: command{hold: b.tree.lock},
		compiled: func(object string) {
			if stage != StageCompile || linkStep(object) {
				return
			}
			b.objects++
			b.report(Progress{Stage: stage, Done: b.objects, Message: object})
		},
	}.run(ctx)
}

// linkStep tells objects that every link makes anew, the symbol table and the
// boot wrapper, from those of the tree's own source files.
func linkStep(object string) bool {
	return strings.HasPrefix(filepath.Base(object), ".") || strings.HasPrefix(object, "arch/") && strings.Contains(object, "/boot/")
}

// configure makes .config. When it comes out as it was, its time is restored,
// so that make sees no change.
func (b *builder) configure(ctx context.Context) (*configFile, error) {
	b.report(Progress{Stage: StageConfigure, Message: b.in.config.base})
	path := filepath.Join(b.dir.out(), ".config")
	before, _ := os.ReadFile(path)
	info, statErr := os.Stat(path)
	if err := b.runConfigure(ctx, path); err != nil {
		return nil, err
	}
	after, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoConfig, err)
	}
	if statErr == nil && bytes.Equal(before, after) {
		if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
			return nil, err
		}
	}
	return parseConfig(path, after)
}

func (b *builder) runConfigure(ctx context.Context, path string) error {
	in := b.in.config
	asked := &configFile{values: map[string]string{}}
	asked.merge(in.asked)
	asked.set(localVersionAuto, "n")
	if in.base == AllNoConfig {
		fragment := filepath.Join(b.dir.dir, "fragment.config")
		if err := writeFileAtomic(fragment, asked.text(), 0o644); err != nil {
			return err
		}
		return b.make(ctx, StageConfigure, []string{"KCONFIG_ALLCONFIG=" + fragment}, AllNoConfig)
	}
	base := in.baseText
	if in.base == DefConfig {
		if err := b.make(ctx, StageConfigure, nil, DefConfig); err != nil {
			return err
		}
		c, err := readConfig(path)
		if err != nil {
			return fmt.Errorf("%w: %w", errNoConfig, err)
		}
		base = c
	}
	all := &configFile{values: map[string]string{}}
	all.merge(base)
	all.merge(asked)
	if err := writeFileAtomic(path, all.text(), 0o644); err != nil {
		return err
	}
	return b.make(ctx, StageConfigure, nil, "olddefconfig")
}

// missingSymbols compares the configuration with what was asked for.
func (b *builder) missingSymbols(got *configFile, arch string) ([]string, error) {
	var symbols map[string]bool
	var err error
	out := missing(b.in.config.wanted(), got, func(name string) bool {
		if symbols == nil && err == nil {
			symbols, err = treeSymbols(b.tree.sources(), arch)
		}
		return symbols[name]
	})
	if err != nil {
		return nil, fmt.Errorf("reading the Kconfig files of %s: %w", b.in.name(), err)
	}
	return out, nil
}

// touchedFiles says of each touched file whether this configuration builds it.
func (b *builder) touchedFiles(files []string) ([]Touched, error) {
	var out []Touched
	headers := map[string]bool{}
	for _, name := range files {
		ext := filepath.Ext(name)
		object := filepath.Join(b.dir.out(), strings.TrimSuffix(name, ext)+".o")
		_, err := os.Stat(object)
		built := (ext == ".c" || ext == ".S") && err == nil
		if !built {
			headers[name] = false
		}
		out = append(out, Touched{Path: name, Built: built})
	}
	if len(headers) == 0 {
		return out, nil
	}
	if err := b.findDependencies(headers); err != nil {
		return nil, err
	}
	for i := range out {
		out[i].Built = out[i].Built || headers[out[i].Path]
	}
	return out, nil
}

// findDependencies marks the files that any object depends on, by the
// dependency files that kbuild keeps beside its objects.
func (b *builder) findDependencies(files map[string]bool) error {
	return filepath.WalkDir(b.dir.out(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !strings.HasSuffix(d.Name(), ".cmd") {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for name, seen := range files {
			if !seen && mentions(data, name) {
				files[name] = true
			}
		}
		return nil
	})
}

// mentions finds a path in a dependency file as a whole: fs/a.h is not in
// "xfs/a.h", nor in "fs/a.hx".
func mentions(data []byte, name string) bool {
	for {
		i := bytes.Index(data, []byte(name))
		if i < 0 {
			return false
		}
		end := i + len(name)
		startOK := i == 0 || bytes.IndexByte([]byte("/ \t\n("), data[i-1]) >= 0
		endOK := end == len(data) || bytes.IndexByte([]byte(" \t\n)\\"), data[end]) >= 0
		if startOK && endOK {
			return true
		}
		data = data[end:]
	}
}

// treeOf reads which tree a build folder belongs to; it is empty when unknown.
func (b *buildDir) treeOf() string {
	data, err := os.ReadFile(filepath.Join(b.dir, buildStateFile))
	if err != nil || json.Unmarshal(data, &b.state) != nil {
		return ""
	}
	return b.state.Tree
}
