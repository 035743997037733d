package index

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"patchproof/results"
)

func refresh(t *testing.T, x *Index) {
	t.Helper()
	if err := x.Refresh(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// Whatever happens to the folders, an index that is kept up to date says the
// same as one that is built from nothing.
func TestRefreshFollowsTheFolders(t *testing.T) {
	dir := threeNights(t)
	x := openIndex(t, dir)
	checkFresh(t, x)
	steps := []struct {
		name string
		do   func()
	}{
		{"a new campaign", func() {
			writeNight(t, dir, night{id: "20261128T190000Z-nightly-dddddd", days: 3, open: true, sha: "k3", cells: map[string]string{"compress=none": "cr"}})
		}},
		{"a new run", func() {
			r := run('o')
			r.Side, r.Cell = results.Single, "compress=none"
			writeRun(t, filepath.Join(dir, "20261128T190000Z-nightly-dddddd"), 3, r)
		}},
		{"a run begins", func() {
			writeFile(t, filepath.Join(dir, third, "run", "050", "run.jsonl"), []byte(`{"event":"started","started":{"id":"run-050","side":"run","index":50,"cell":"compress=zlib"}}`+"\n"))
		}},
		{"it shows something", func() {
			f, err := os.OpenFile(filepath.Join(dir, third, "run", "050", "run.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.Write(append(encode(t, map[string]any{"event": "report", "report": report("late", false)}), '\n')); err != nil {
				t.Fatal(err)
			}
		}},
		{"it ends", func() {
			r := run('r')
			r.Side, r.Cell = results.Single, "compress=zlib"
			writeRun(t, filepath.Join(dir, third), 50, r)
		}},
		{"the campaign ends", func() {
			writeNight(t, dir, night{id: "20261128T190000Z-nightly-dddddd", days: 3, sha: "k3", cells: map[string]string{"compress=none": "cr"}})
		}},
		{"a run is removed", func() {
			if err := os.RemoveAll(filepath.Join(dir, second, "run", "001")); err != nil {
				t.Fatal(err)
			}
		}},
		{"a campaign is removed", func() {
			if err := os.RemoveAll(filepath.Join(dir, first)); err != nil {
				t.Fatal(err)
			}
		}},
		{"everything comes to rest", func() { settle(t, dir) }},
	}
	for _, step := range steps {
		before := contents(t, x)
		step.do()
		refresh(t, x)
		checkFresh(t, x)
		if after := contents(t, x); fmt.Sprint(before) == fmt.Sprint(after) {
			t.Errorf("%s: the index did not change", step.name)
		}
		if t.Failed() {
			t.Fatalf("after the step: %s", step.name)
		}
	}
}

// What has not changed is not read again: ended runs are then not even opened.
func TestRefreshReadsNothingTwice(t *testing.T) {
	dir := threeNights(t)
	x := openIndex(t, dir)
	// A change that keeps size and time is not seen, which shows that nobody
	// looked; Rebuild looks.
	path := filepath.Join(dir, third, "campaign.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[0] = 'x'
	writeFile(t, path, data)
	settle(t, dir)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	stamp := info.ModTime()
	if _, err := x.db.Exec(`UPDATE folders SET stamp = ? WHERE folder = ?`, x.stampOf(third, ""), third); err != nil {
		t.Fatal(err)
	}
	refresh(t, x)
	if c, err := x.Find(context.Background(), third); err != nil || c.ID != third {
		t.Errorf("%+v, %v", c, err)
	}
	if err := os.Chtimes(path, stamp.Add(time.Second), stamp.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	refresh(t, x)
	if problems, err := x.Problems(context.Background()); err != nil || len(problems) != 1 || problems[0].Campaign != third {
		t.Errorf("problems after the change shows: %+v, %v", problems, err)
	}
	if err := x.Rebuild(context.Background()); err != nil {
		t.Fatal(err)
	}
	checkFresh(t, x)
}

func TestStates(t *testing.T) {
	dir := t.TempDir()
	store, err := results.OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	w, err := store.Create(&results.Campaign{ID: "running", Kind: results.KindMatrix, Matrix: &results.MatrixRecord{Name: "n"}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := w.StartRun(results.Run{Side: results.Single})
	if err != nil {
		t.Fatal(err)
	}
	writeNight(t, dir, night{id: "ended", cells: map[string]string{"x=1": "c"}})
	writeNight(t, dir, night{id: "broken", open: true, cells: map[string]string{"x=1": "c"}})
	x := openIndex(t, dir)
	for id, want := range map[string]State{"running": StateRunning, "ended": StateEnded, "broken": StateBroken} {
		if c, err := x.Find(context.Background(), id); err != nil || c.State != want {
			t.Errorf("%s is %q, %v; want %q", id, c.State, err, want)
		}
	}
	if _, err := r.Finish(true, ""); err != nil {
		t.Fatal(err)
	}
	if err := w.Update(&results.Campaign{Format: 1, ID: "running", Kind: results.KindMatrix, Matrix: &results.MatrixRecord{Name: "n"}, ElapsedSeconds: 3}); err != nil {
		t.Fatal(err)
	}
	refresh(t, x)
	// Its process still has the lock, but nothing is in flight any more.
	if c, err := x.Find(context.Background(), "running"); err != nil || c.State != StateEnded || c.Counts.Clean != 1 {
		t.Errorf("%+v, %v; want it ended with a clean run", c, err)
	}
}

// Several goroutines and several processes use one index at once, while a
// campaign grows.
func TestConcurrentUse(t *testing.T) {
	if dir := os.Getenv("PATCHPROOF_TEST_INDEX"); dir != "" {
		useAll(t, dir)
		return
	}
	dir := threeNights(t)
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			cmd := exec.Command(os.Args[0], "-test.run=^TestConcurrentUse$")
			cmd.Env = append(os.Environ(), "PATCHPROOF_TEST_INDEX="+dir)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("the other process: %v\n%s", err, out)
			}
		})
		group.Go(func() { useAll(t, dir) })
	}
	group.Go(func() {
		for i := range 20 {
			r := run('c')
			r.Side, r.Cell = results.Single, "compress=none"
			writeRun(t, filepath.Join(dir, third), 100+i, r)
			time.Sleep(time.Millisecond)
		}
	})
	group.Wait()
	settle(t, dir)
	x := openIndex(t, dir)
	checkFresh(t, x)
	if notes := x.Notes(); len(notes) != 0 {
		t.Errorf("notes: %q", notes)
	}
}

// useAll opens an index and asks it, again and again; with t.Error only, since
// it runs in goroutines.
func useAll(t *testing.T, dir string) {
	x, err := Open(context.Background(), dir)
	if err != nil {
		t.Error(err)
		return
	}
	defer x.Close()
	if notes := x.Notes(); len(notes) != 0 {
		t.Errorf("notes: %q", notes)
	}
	for i := range 15 {
		if i%5 == 4 {
			err = x.Rebuild(context.Background())
		} else {
			err = x.Refresh(context.Background())
		}
		if err != nil {
			t.Error(err)
			return
		}
		// A rebuild of another process may be under way: rows can be missing for
		// a moment, but never an answer.
		if _, err := x.Campaigns(context.Background(), Filter{}); err != nil {
			t.Error(err)
		}
		if _, err := x.Trend(context.Background(), "btrfs_destroy_inode", EventFilter{}); err != nil {
			t.Error(err)
		}
	}
}

// Removing a database that another process has open would confuse both.
func TestDamagedAndInUse(t *testing.T) {
	dir := threeNights(t)
	other := openIndex(t, dir)
	if err := os.Truncate(filepath.Join(dir, fileName), 100); err != nil {
		t.Fatal(err)
	}
	os.Remove(filepath.Join(dir, fileName+"-wal"))
	x := openIndex(t, dir)
	if c, err := x.Campaigns(context.Background(), Filter{}); err != nil || len(c) != 3 {
		t.Errorf("%+v, %v", c, err)
	}
	_ = other
}
