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
