package orchestrator

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"patchproof/results"
	"patchproof/results/judge"
)

// TestBisectResumeOtherInputs: what a bisection has measured says nothing of
// kernels that are built from something else, or of another bug.
func TestBisectResumeOtherInputs(t *testing.T) {
	repo, patch := kernelRepo(t), filepath.Join(t.TempDir(), "on-top.patch")
	put := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	onTop := func(line string) string {
		return "--- a/fs/f1.c\n+++ b/fs/f1.c\n@@ -1 +1 @@\n-1\n\\ No newline at end of file\n+" + line + "\n"
	}
	put(patch, onTop("one"))
	h := &Harness{CacheDir: t.TempDir(), ResultsDir: t.TempDir()}
	r := BisectRequest{Request: Request{Workload: "btrfs-dio-race-focused", Kernel: KernelFlags{Tree: repo}, Patches: []string{patch}},
		Find: judge.FindCulprit, Good: "v1", Bad: "v4"}
	plan, err := r.plan()
	if err != nil {
		t.Fatal(err)
	}
	record, err := h.history(t.Context(), repo, r)
	if err != nil {
		t.Fatal(err)
	}
	b, err := h.newBisection(t.Context(), plan, record, 1)
	if err != nil {
		t.Fatal(err)
	}
	campaign, err := b.describe(plan)
	if err != nil {
		t.Fatal(err)
	}
	store, err := h.OpenResults()
	if err != nil {
		t.Fatal(err)
	}
	if b.BisectWriter, err = store.CreateBisection(campaign, record); err != nil {
		t.Fatal(err)
	}
	spec := b.spec
	spec.Rev = record.Commits[1].Commit
	id, _, err := b.store.Address(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	w, err := b.StartRun(spec.Rev, results.Run{Kernel: results.KernelRecord{ID: id}})
	if err != nil {
		t.Fatal(err)
	}
	run, err := w.Finish(true, "")
	if err := errors.Join(err, b.AddRun(run), b.Close("a test")); err != nil {
		t.Fatal(err)
	}

	again := func() error {
		t.Helper()
		before, err := results.LoadBisection(b.Dir())
		if err != nil {
			t.Fatal(err)
		}
		return b.sameInputs(t.Context(), before)
	}
	refuses := func(what, want string) {
		t.Helper()
		var input *InputError
		if _, err := h.ResumeBisect(t.Context(), ResumeRequest{Dir: b.Dir()}); !errors.As(err, &input) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an input error with %q", what, err, want)
		}
		if events, err := os.ReadFile(filepath.Join(b.Dir(), "bisect.jsonl")); err != nil || strings.Count(string(events), `"sitting"`) != 1 {
			t.Errorf("%s: %v, the refused bisection went on:\n%s", what, err, events)
		}
	}
	if err := again(); err != nil {
		t.Fatalf("nothing has changed: %v", err)
	}
	put(patch, onTop("two"))
	refuses("another patch", "a patch, the configuration or the compiler has changed")
	put(patch, onTop("one"))
	if err := again(); err != nil {
		t.Fatalf("the patch is back: %v", err)
	}
	kept := filepath.Join(b.Dir(), "plan.yaml")
	data, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	put(kept, strings.Replace(string(data), "signatures:\n", "signatures:\n        - title: ^another bug\n", 1))
	refuses("another signature", "signatures in "+kept)
}
