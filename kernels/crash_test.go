package kernels

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestCrashInTheMiddleOfASwitch stops a switch after each number of files and
// checks that the next build repairs the tree.
func TestCrashInTheMiddleOfASwitch(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	patch := makePatch(t, f.tree, "two.patch", func(dir string) {
		replace(t, filepath.Join(dir, "fs/btrfs/file.c"), "int file_b;", "#error must not be built")
		put(t, filepath.Join(dir, "fs/btrfs/new.c"), "int new;\n")
	})
	stock := f.build(t, f.spec)
	dir := stock.Provenance.TreeDir
	for written := 0; written <= 2; written++ {
		crashSwitch(t, f, patch, written)
		if err := os.RemoveAll(stock.dir()); err != nil {
			t.Fatal(err)
		}
		again := f.build(t, f.spec)
		if again.SHA256 != stock.SHA256 {
			t.Errorf("after a crash with %d files written the image differs", written)
		}
		if _, err := os.Stat(filepath.Join(dir, "tree/fs/btrfs/new.c")); err == nil {
			t.Errorf("after a crash with %d files written the new file is still there", written)
		}
		state, err := readTreeState(dir)
		if err != nil || state.Dirty || len(state.Changed) > 0 {
			t.Errorf("state %+v, %v", state, err)
		}
	}
}

// crashSwitch does what overlay does, up to the given number of files.
func crashSwitch(t *testing.T, f *fixture, patch string, written int) {
	t.Helper()
	ctx := context.Background()
	in, err := f.store.resolve(ctx, f.with(patch))
	if err != nil {
		t.Fatal(err)
	}
	tr, err := f.store.openTree(ctx, in.src, func(Progress) {})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.lock.Close()
	want, err := f.store.renderSeries(ctx, tr, "fake", in.series)
	if err != nil {
		t.Fatal(err)
	}
	names := seriesFiles(in.series)
	if err := tr.saveOriginals(ctx, names); err != nil {
		t.Fatal(err)
	}
	tr.state.Changed, tr.state.Dirty = slices.Clone(names), true
	if err := tr.save(); err != nil {
		t.Fatal(err)
	}
	for _, name := range names[:written] {
		if err := putFile(tr.sources(), name, want[name], true); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCrashWhileUnpacking(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	in, err := f.store.resolve(context.Background(), f.spec)
	if err != nil {
		t.Fatal(err)
	}
	// A crash leaves the folder with a lock and a state, but without sources.
	dir := f.store.path(treesDir, treeID(in.src))
	put(t, filepath.Join(dir, lockFile), "process 1\n")
	put(t, filepath.Join(dir, stateFile), `{"changed": ["fs/btrfs/file.c"], "dirty": true, "saved": {"fs/btrfs/file.c": false}}`)
	put(t, filepath.Join(dir, "pristine/fs/btrfs/file.c"), "old")
	img := f.build(t, f.spec)
	if strings.Contains(read(t, img.Vmlinux), "old") {
		t.Error("an original from before the crash was believed")
	}
}

func TestKilledMakeLeavesNothingThatIsTrusted(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	stock := f.build(t, f.spec)
	b := buildDir{dir: stock.Provenance.BuildDir}
	if b.treeOf() == "" {
		t.Fatal("no build state")
	}
	// make was killed between the compiler and the end of the recipe: the
	// object is newer than its source, and wrong.
	if err := b.begin(); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(b.out(), "fs/btrfs/inode.o"), "half an object")
	if err := os.RemoveAll(stock.dir()); err != nil {
		t.Fatal(err)
	}
	if again := f.build(t, f.spec); again.SHA256 != stock.SHA256 {
		t.Error("the object of a killed make was linked")
	}
}

func TestClockThatGoesBackwards(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	img := f.build(t, f.spec)
	dir := img.Provenance.TreeDir
	// The last build was done by a clock one hour ahead: its objects are newer
	// than anything that is written now.
	state, err := readTreeState(dir)
	if err != nil {
		t.Fatal(err)
	}
	state.Clock = time.Now().Add(time.Hour)
	if err := (&tree{dir: dir, state: state}).save(); err != nil {
		t.Fatal(err)
	}
	ahead := time.Now().Add(time.Hour)
	objects, _ := filepath.Glob(filepath.Join(img.Provenance.BuildDir, "out/fs/btrfs/*.o"))
	if len(objects) == 0 {
		t.Fatal("no objects")
	}
	for _, o := range objects {
		if err := os.Chtimes(o, ahead, ahead); err != nil {
			t.Fatal(err)
		}
	}
	fix := f.replacePatch(t, "fix.patch", "fs/btrfs/inode.c", "int c;", "int fixed;")
	if img := f.build(t, f.with(fix)); !strings.Contains(read(t, img.Vmlinux), "fixed") {
		t.Error("make took an object from the future for current: the patch is not in the image")
	}
}

// helperSpec is the environment variable that makes TestHelperBuild a harness
// that builds a spec and is killed meanwhile.
const helperSpec = "PATCHPROOF_TEST_HELPER_SPEC"

func TestHelperBuild(t *testing.T) {
	text := os.Getenv(helperSpec)
	if text == "" {
		t.Skip("only as a child of TestKilledHarness")
	}
	var spec Spec
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		t.Fatal(err)
	}
	s, err := OpenStore(os.Getenv(helperSpec + "_STORE"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Build(context.Background(), spec, BuildOptions{Jobs: 1})
	t.Fatalf("the build ended: %v", err)
}

func TestKilledHarness(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	stock := f.build(t, f.spec)
	spec, err := json.Marshal(f.with(f.replacePatch(t, "wait.patch", "fs/btrfs/inode.c", "int c;", "#wait")))
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(exe, "-test.run=^TestHelperBuild$")
	child.Env = append(child.Environ(), helperSpec+"="+string(spec), helperSpec+"_STORE="+f.store.Dir())
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	object := filepath.Join(stock.Provenance.BuildDir, "out/fs/btrfs/inode.o")
	eventually(t, "the compiler is at work", func() bool {
		data, err := os.ReadFile(object)
		return err == nil && string(data) == "half\n"
	})
	child.Process.Kill()
	child.Wait()
	eventually(t, "make and the compiler are gone", func() bool { return len(processesNaming(t, f.store.Dir())) == 0 })
	if err := os.RemoveAll(stock.dir()); err != nil {
		t.Fatal(err)
	}
	if again := f.build(t, f.spec); again.SHA256 != stock.SHA256 {
		t.Error("the image differs after a harness was killed")
	}
}

// eventually waits for something that happens soon; the limit only keeps a
// broken test from hanging.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for range 600 {
		if done() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("waited in vain until %s", what)
}

func TestLockWaits(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), lockFile)
	held, err := lock(context.Background(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tryLock(path); !errors.Is(err, errLocked) {
		t.Errorf("second lock: %v", err)
	}
	holder := make(chan string, 1)
	done := make(chan error, 1)
	go func() {
		f, err := lock(context.Background(), path, func(h string) { holder <- h })
		if err == nil {
			err = unlock(f)
		}
		done <- err
	}()
	if h := <-holder; !strings.HasPrefix(h, "process ") {
		t.Errorf("holder %q", h)
	}
	if err := unlock(held); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	held, err = lock(context.Background(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock(held)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := lock(ctx, path, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("lock with an ended context: %v", err)
	}
}

// fullDisk takes a number of bytes and no more.
type fullDisk struct{ room int }

// Write implements io.Writer.
func (d *fullDisk) Write(p []byte) (int, error) {
	if d.room -= len(p); d.room < 0 {
		return 0, syscall.ENOSPC
	}
	return len(p), nil
}

// TestLogThatCannotBeWritten: make dies of it in the middle of what it does. The
// sources are not to blame, and what make has left is not to be trusted.
func TestLogThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, err := f.store.Build(context.Background(), f.spec, BuildOptions{Jobs: 2, Log: &fullDisk{20}})
	var be *BuildError
	if !errors.Is(err, syscall.ENOSPC) || errors.As(err, &be) {
		t.Errorf("%T %v, want the cause and no *BuildError", err, err)
	}
	f.build(t, f.spec)
}

func TestDeathBySignal(t *testing.T) {
	for signal, killed := range map[string]bool{"PIPE": true, "KILL": true, "SEGV": true, "TERM": false} {
		err := command{name: "sh", args: []string{"-c", "kill -" + signal + " $$"}}.run(context.Background())
		if err == nil || errors.Is(err, errKilled) != killed {
			t.Errorf("%s: %v", signal, err)
		}
	}
}
