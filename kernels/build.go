package kernels

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// BuildOptions are the parts of a build that do not change its result.
type BuildOptions struct {
	Jobs     int            // make -j; 0 means one per CPU
	Progress func(Progress) // called from one goroutine at a time; may be nil
	Log      io.Writer      // gets make's output too; may be nil
}

// Stages of a Progress.
const (
	StageWait      = "wait"      // another build is using the same tree
	StageUnpack    = "unpack"    // unpacking a tarball or checking a revision out
	StagePatch     = "patch"     // applying the series
	StageConfigure = "configure" // making .config
	StageCompile   = "compile"   // Done counts compiled files
	StageCached    = "cached"    // the image was in the store
)

// Progress is one step of a build, for a progress line. Total is 0 when it is
// not known.
type Progress struct {
	Stage       string
	Done, Total int
	Message     string
}

// reporter makes the progress function safe to call from make's output.
func (o BuildOptions) reporter() func(Progress) {
	var mu sync.Mutex
	return func(p Progress) {
		if o.Progress != nil {
			mu.Lock()
			defer mu.Unlock()
			o.Progress(p)
		}
	}
}

// Build returns the image for spec: from the store when it is there, else by
// building it. Builds that share a source tree wait for each other, also
// between processes. A patch that does not apply is a *PatchError and a build
// that fails a *BuildError; neither leaves anything in the store but the log.
func (s *Store) Build(ctx context.Context, spec Spec, opts BuildOptions) (*Image, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	report := opts.reporter()
	if spec.Image != "" {
		return s.importImage(ctx, spec, report)
	}
	in, err := s.resolve(ctx, spec)
	if err != nil {
		return nil, err
	}
	if img := s.cached(in.imageID(), report); img != nil {
		in.nameIn(&img.Provenance)
		return img, nil
	}
	t, err := s.openTree(ctx, in.src, report)
	if err != nil {
		return nil, err
	}
	img, err := s.buildLocked(ctx, in, t, opts, report)
	if img != nil { // it may be of another process that was faster
		in.nameIn(&img.Provenance)
	}
	return img, errors.Join(err, t.close())
}

// cached returns an image of the store, or nil when it has to be made.
func (s *Store) cached(id string, report func(Progress)) *Image {
	img, err := s.load(id)
	if err != nil {
		return nil
	}
	touch(filepath.Join(img.dir(), usedFile))
	report(Progress{Stage: StageCached, Done: 1, Total: 1, Message: img.Release})
	return img
}

// buildLocked builds an image while the tree is locked.
func (s *Store) buildLocked(ctx context.Context, in *inputs, t *tree, opts BuildOptions, report func(Progress)) (*Image, error) {
	// Somebody may have built it while we waited for the lock.
	if img := s.cached(in.imageID(), report); img != nil {
		return img, nil
	}
	start := time.Now()
	s.sweepTemp()
	if t.state.Base != t.src.base() {
		report(Progress{Stage: StageUnpack, Message: in.src.name()})
	}
	files, err := s.renderSeries(ctx, t, in.src.name(), in.series)
	if err != nil {
		return nil, err
	}
	if err := in.spec.Perturb.addTo(ctx, t, files); err != nil {
		return nil, err
	}
	if len(files) > 0 {
		report(Progress{Stage: StagePatch, Done: len(in.series), Total: len(in.series), Message: fmt.Sprintf("%d files", len(files))})
	}
	if err := t.switchTo(ctx, files); err != nil {
		return nil, err
	}
	dir, err := s.openBuildDir(in.buildID(), t)
	if err != nil {
		return nil, err
	}
	logPath := s.path(logsDir, in.imageID()+".log")
	log, err := os.Create(logPath)
	if err != nil {
		return nil, fmt.Errorf("kernel cache: %w", err)
	}
	defer log.Close()
	b := &builder{store: s, in: in, opts: opts, tree: t, dir: dir, log: log, report: report}
	img, err := b.run(ctx)
	if err != nil {
		return nil, b.explain(err)
	}
	img.Provenance.Elapsed = time.Since(start).Round(time.Millisecond)
	return b.collect(img, files)
}

// run calls make and describes what it made.
func (b *builder) run(ctx context.Context) (*Image, error) {
	if err := b.dir.begin(); err != nil {
		return nil, err
	}
	config, err := b.configureAndCompile(ctx)
	if !errors.Is(err, errKilled) {
		err = errors.Join(err, b.dir.end())
	}
	if err != nil {
		return nil, err
	}
	missing, err := b.missingSymbols(config, b.in.arch.source)
	if err != nil {
		return nil, err
	}
	touched, err := b.touchedFiles(seriesFiles(b.in.series))
	if err != nil {
		return nil, err
	}
	release, err := os.ReadFile(filepath.Join(b.dir.out(), "include", "config", "kernel.release"))
	if err != nil {
		return nil, fmt.Errorf("make left no release: %w", err)
	}
	b.dir.state.Complete = true
	img := &Image{ID: b.in.imageID(), Release: strings.TrimSpace(string(release)), MissingSymbols: missing}
	img.Provenance = Provenance{
		Touched: touched, Compiler: b.in.compiler, Make: b.in.spec.Make, Perturb: b.in.spec.Perturb,
		Compiled: b.objects, Built: time.Now().UTC().Truncate(time.Second), TreeDir: b.tree.dir, BuildDir: b.dir.dir,
	}
	b.in.nameIn(&img.Provenance)
	return img, b.dir.save()
}

func (b *builder) configureAndCompile(ctx context.Context) (*configFile, error) {
	config, err := b.configure(ctx)
	if err != nil {
		return nil, err
	}
	need := uint64(rebuildBytes)
	if !b.dir.state.Complete {
		need = buildBytes
		if config.value("DEBUG_INFO") == "y" {
			need = buildDebugBytes
		}
	}
	if err := b.store.needSpace("build "+b.in.name(), need); err != nil {
		return nil, err
	}
	if err := b.dir.dropStale(b.tree.sources()); err != nil {
		return nil, err
	}
	b.report(Progress{Stage: StageCompile, Message: b.in.arch.target})
	return config, b.make(ctx, StageCompile, nil, b.in.arch.target)
}

// explain adds what to do to errors that do not say it.
func (b *builder) explain(err error) error {
	var be *BuildError
	switch {
	case errors.As(err, &be):
		return be
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("building %s was stopped; what is compiled is kept for the next time: %w", b.in.name(), err)
	}
	return fmt.Errorf("building %s: %w", b.in.name(), err)
}

// vmlinuxCopyLimit is the size up to which vmlinux is copied. A larger one has
// debug information and is moved out of the build folder, which costs the next
// build a link that it needs in any case.
const vmlinuxCopyLimit = 256 << 20

// collect puts the image and all that belongs to it into a folder of its own
// and publishes it.
func (b *builder) collect(img *Image, files fileSet) (*Image, error) {
	tmp, err := os.MkdirTemp(b.store.path(tmpDir), "image-*")
	if err != nil {
		return nil, fmt.Errorf("kernel cache: %w", err)
	}
	defer os.RemoveAll(tmp)
	out := b.dir.out()
	if err := copyFile(filepath.Join(tmp, imageFile), filepath.Join(out, b.in.arch.image), 0o644); err != nil {
		return nil, fmt.Errorf("make left no %s: %w", b.in.arch.image, err)
	}
	if err := copyFile(filepath.Join(tmp, configName), filepath.Join(out, ".config"), 0o644); err != nil {
		return nil, err
	}
	if img.SHA256, err = hashFile(filepath.Join(tmp, imageFile)); err != nil {
		return nil, err
	}
	if img.Provenance.ConfigSHA256, err = hashFile(filepath.Join(tmp, configName)); err != nil {
		return nil, err
	}
	if b.in.arch.source == "x86" {
		if _, err := Identify(filepath.Join(tmp, imageFile)); err != nil {
			return nil, fmt.Errorf("make made no usable image: %w", err)
		}
	}
	if err := keepVmlinux(filepath.Join(tmp, vmlinuxFile), filepath.Join(out, "vmlinux")); err != nil {
		return nil, err
	}
	for name, f := range files {
		if f.absent {
			continue
		}
		if err := putFile(filepath.Join(tmp, srcDir), name, f, true); err != nil {
			return nil, err
		}
	}
	if err := b.log.Close(); err != nil {
		return nil, fmt.Errorf("writing the build log: %w", err)
	}
	// A garbage collection meanwhile may have taken the log for an old one.
	if err := os.Rename(b.log.Name(), filepath.Join(tmp, logFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	img.relocate(b.store.path(imagesDir, img.ID))
	return b.store.publish(tmp, img)
}

func keepVmlinux(dst, src string) error {
	info, err := os.Stat(src)
	if err != nil {
		return nil // some architectures have none; only symbols are lost
	}
	if info.Size() > vmlinuxCopyLimit {
		return os.Rename(src, dst)
	}
	return copyFile(dst, src, 0o644)
}
