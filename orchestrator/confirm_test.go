package orchestrator

import (
	"strings"
	"testing"

	"patchproof/results"
	"patchproof/workloads"
)

// A user who has stopped the first campaign does not want a second one, and
// the verdict of the first must be kept.
func TestConfirmPlainAfterStop(t *testing.T) {
	h := &Harness{CacheDir: t.TempDir(), ResultsDir: t.TempDir()}
	s := &results.Summary{Campaign: results.Campaign{Stopped: stoppedByUser, Perturb: &results.Perturbation{}}}
	if err := h.ConfirmPlain(t.Context(), &workloads.Plan{}, s); err != nil {
		t.Fatal(err)
	}
	if s.Plain != nil || len(s.Warnings) != 1 || !strings.Contains(s.Warnings[0], "not confirmed on plain kernels") {
		t.Errorf("plain %v, warnings %q", s.Plain, s.Warnings)
	}
}

func TestConfirmPlainNeedsPerturbation(t *testing.T) {
	h := &Harness{CacheDir: t.TempDir(), ResultsDir: t.TempDir()}
	err := h.ConfirmPlain(t.Context(), &workloads.Plan{}, &results.Summary{})
	if err == nil || !strings.Contains(err.Error(), "--perturb") {
		t.Errorf("got %v", err)
	}
}

// TestSetPerturb: one block says it for both kernels, and the caller's blocks stay
// as they were.
func TestSetPerturb(t *testing.T) {
	own := &workloads.Perturb{Paths: workloads.List{"mm"}}
	load := func() *workloads.Plan {
		return &workloads.Plan{Kernel: &workloads.KernelSpec{Tarball: "/l.tar"}, Pre: &workloads.KernelSpec{Name: "a", Perturb: own}, Patch: workloads.List{"/p"}}
	}
	for _, want := range []*workloads.Perturb{{Paths: workloads.List{"fs"}}, nil} {
		plan := load()
		before := plan.Pre
		SetPerturb(plan, want)
		pre, post, err := plan.Expand()
		if err != nil || pre.Perturb != want || post.Perturb != want || before.Perturb != own || plan.Post != nil {
			t.Errorf("%v: pre %+v, post %+v", err, pre.Perturb, post.Perturb)
		}
	}
}
