package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"patchproof/results"
	"patchproof/results/judge"
	"patchproof/vm/statecache"
	"patchproof/workloads"
)

// Way is one way to carry a verification out.
type Way struct {
	Name string
	Plan *workloads.Plan
	Fork ForkMode
	// Jobs is the guests at a time.
	Jobs int
}

// VerdictWays are the ways worth comparing: every run boots; runs go on from
// saved machines; the same with several guests at a time, where jobs says more
// than one; the same with tuned, which may be nil, one guest at a time.
func VerdictWays(plan, tuned *workloads.Plan, jobs int) []Way {
	ways := []Way{{"booted", plan, ForkOff, 1}, {"forked", plan, ForkAuto, 1}}
	if jobs > 1 {
		ways = append(ways, Way{fmt.Sprintf("forked, %d guests", jobs), plan, ForkAuto, jobs})
	}
	if tuned != nil {
		ways = append(ways, Way{"tuned, booted", tuned, ForkOff, 1}, Way{"tuned, forked", tuned, ForkAuto, 1})
	}
	return ways
}

// VerdictTime is how long one way took to its verdict.
type VerdictTime struct {
	Way      string `json:"way"`
	Workload string `json:"workload"`
	// Shape of the guests; it ends in ", forked" when runs went on from saved
	// machines.
	Shape string `json:"shape"`
	Jobs  int    `json:"jobs"`
	// Seconds from kernels that are built to the verdict; the making of saved
	// machines is in it.
	Seconds    float64       `json:"seconds"`
	Verdict    judge.Verdict `json:"verdict"`
	Confidence float64       `json:"confidence"`
	// Runs count, Invalid ones were done besides.
	Runs        int     `json:"runs"`
	Invalid     int     `json:"invalid"`
	RunsPerHour float64 `json:"runs_per_hour"`
	// Spent is where the time of a run went.
	Spent  []results.Spent `json:"spent"`
	Folder string          `json:"folder"`
}

// BenchVerdict verifies in each of the ways, rounds times in turn, and says how
// long each took to a verdict. What was measured before an error is returned
// with it.
func (h *Harness) BenchVerdict(ctx context.Context, ways []Way, rounds int) ([]VerdictTime, error) {
	if rounds < 1 || rounds > 1000 {
		return nil, inputError(fmt.Errorf("%d rounds: give 1 to 1000", rounds))
	}
	// Builds come first: no way is to pay for another's kernels.
	for _, w := range ways {
		if _, err := h.prepare(ctx, w.Plan); err != nil {
			return nil, err
		}
	}
	defer func(mode ForkMode) { h.Fork, h.stateSalt = mode, "" }(h.Fork)
	var times []VerdictTime
	for range rounds {
		for _, w := range ways {
			t, err := h.timeVerdict(ctx, w)
			if err != nil {
				return times, fmt.Errorf("%s: %w", w.Name, err)
			}
			times = append(times, t)
		}
	}
	return times, nil
}

func (h *Harness) timeVerdict(ctx context.Context, w Way) (t VerdictTime, err error) {
	plan := *w.Plan
	plan.Jobs = w.Jobs
	h.Fork, h.stateSalt = w.Fork, fmt.Sprint(time.Now().UnixNano())
	h.note("bench: " + w.Name)
	begin := time.Now()
	s, err := h.Verify(ctx, &plan)
	seconds := time.Since(begin).Seconds()
	if s == nil {
		return t, err
	}
	err = errors.Join(err, h.dropStates(s.Runs))
	t = VerdictTime{Way: w.Name, Workload: s.Campaign.Workload, Shape: s.Campaign.Shape, Jobs: w.Jobs, Seconds: seconds,
		Verdict: s.Decision.Verdict, Confidence: s.Decision.Confidence, Spent: results.TimeSpent(s.Runs), Folder: s.Campaign.Dir}
	for _, n := range []judge.Counts{s.Evidence.Pre, s.Evidence.Post} {
		t.Runs += n.Valid()
		t.Invalid += n.Invalid
	}
	t.RunsPerHour = 3600 * float64(t.Runs) / seconds
	if ctx.Err() != nil {
		err = errors.Join(err, context.Cause(ctx))
	}
	return t, err
}

// dropStates removes the machines that only these runs went on from.
func (h *Harness) dropStates(runs []results.Run) error {
	var o statecache.GCOptions
	for i := range runs {
		if f := runs[i].Forked; f != nil {
			o.Keys = append(o.Keys, f.State)
		}
	}
	if o.Keys == nil {
		return nil
	}
	cache, err := h.OpenStates()
	if err != nil {
		return err
	}
	_, err = cache.GC(o)
	return err
}
