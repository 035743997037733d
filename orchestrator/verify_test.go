package orchestrator

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"patchproof/results/judge"
	"patchproof/workloads"
)

// TestStopped: the record says why a campaign ended that the judge did not end.
func TestStopped(t *testing.T) {
	over, cancel := context.WithCancel(context.Background())
	cancel()
	for _, tt := range []struct {
		name   string
		ctx    context.Context
		cause  error
		failed string
		want   string
	}{
		{"a signal", over, context.Canceled, "", stoppedByUser},
		{"a signal during a decision", over, errDecided, "", stoppedByUser},
		{"the budget", t.Context(), errBudget, "", "budget of 1m0s is used up"},
		{"the limit", t.Context(), nil, "", "limit of 7 runs"},
		{"a decision that was taken back", t.Context(), errDecided, "", "took it back"},
		{"the host", t.Context(), errors.New("disk full"), "disk full", ""},
	} {
		c := campaign{plan: &workloads.Plan{Budget: workloads.Duration(time.Minute)}, rules: judge.Rules{MaxRuns: 7}}
		c.record.Failed = tt.failed
		c.stopped(tt.ctx, tt.cause)
		if got := c.record.Stopped; !strings.Contains(got, tt.want) || (got == "") != (tt.want == "") {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
