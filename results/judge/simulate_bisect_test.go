package judge

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

var bisectTable = flag.Bool("bisect-table", false, "print the tables of docs/bisect.md; half an hour")

func simulate(t *testing.T, s SimulationSpec) Simulation {
	t.Helper()
	if s.Graph == nil {
		s.Graph = linear(t, 256)
	}
	if s.Strategy == "" {
		s.Strategy = StrategyPatchproof
	}
	s.Seed = 1
	out, err := SimulateBisect(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestSimulationWithinBars holds the bars of docs/bisect.md with the room that
// 60 trials of 256 commits need: right in 57 of 60 has the chance 0.2% or less
// if 99% is true, and means of costs vary by a few percent.
func TestSimulationWithinBars(t *testing.T) {
	for _, tt := range []struct {
		name       string
		spec       SimulationSpec
		runs, cost float64 // largest share of the bounds
	}{
		{"known, rate 1", SimulationSpec{Rate: 1, Rules: BisectRules{KnownRate: 1}}, 1.35, 1.3},
		{"known, rate 0.5", SimulationSpec{Rate: 0.5, Rules: BisectRules{KnownRate: 0.5}}, 1.6, 1.4},
		{"known, rate 0.2", SimulationSpec{Rate: 0.2, Rules: BisectRules{KnownRate: 0.2}}, 1.6, 1.5},
		{"unknown, rate 1", SimulationSpec{Rate: 1}, 2, 1.4},
		{"unknown, rate 0.5", SimulationSpec{Rate: 0.5}, 2.1, 1.6},
		{"a fix", SimulationSpec{Rate: 0.5, Rules: BisectRules{Find: FindFix, KnownRate: 0.5}}, 1.6, 1.4},
		{"look-alikes", SimulationSpec{Rate: 0.5, FalseRate: 0.01}, 3, 2},
		{"merges", SimulationSpec{Rate: 0.5, Graph: spinnaker(t), Rules: BisectRules{KnownRate: 0.5}}, 1.6, 1.4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.spec.Trials, tt.spec.BuildCost = 60, 5
			s := simulate(t, tt.spec)
			t.Logf("right %.3f, runs %.2f of the bound, cost %.2f", s.CorrectShare, s.MeanRuns/s.BoundRuns, s.MeanCost/s.BoundCost)
			if s.CorrectShare < 57.0/60 || s.MeanRuns > tt.runs*s.BoundRuns || s.MeanCost > tt.cost*s.BoundCost {
				t.Errorf("%+v", s)
			}
			if s.CalibrationRuns < 2 || s.ConfirmationRuns < 2 || s.MeanBuilds < 7 || s.TotalCost < s.MeanCost+s.CalibrationRuns {
				t.Errorf("counts that cannot be: %+v", s)
			}
		})
	}
}

func TestSimulationOfSkips(t *testing.T) {
	s := simulate(t, SimulationSpec{Graph: linear(t, 200), Rate: 1, Rules: BisectRules{KnownRate: 1},
		SkipBlocks: 2, SkipLength: 30, Trials: 80, BuildCost: 5})
	if s.Inside.Trials < 10 || s.Inside.Trials+s.Outside.Trials != 80 {
		t.Fatalf("%d trials inside, %d outside", s.Inside.Trials, s.Outside.Trials)
	}
	if s.Inside.HoldsCulprit < 0.9 || s.Inside.MeanSet < 25 || s.Inside.MeanSet > 70 {
		t.Errorf("inside: %+v", *s.Inside)
	}
	// A culprit right above a block cannot be told from the block.
	if s.Outside.HoldsCulprit < 0.9 || s.Outside.MeanSet > 5 || s.Outside.MeanCost >= s.Inside.MeanCost {
		t.Errorf("outside: %+v", *s.Outside)
	}
}

func TestSimulationOfGitBisect(t *testing.T) {
	// At rate 1 it is a binary search.
	s := simulate(t, SimulationSpec{Rate: 1, Strategy: StrategyGitBisectRun, Trials: 50, BuildCost: 5})
	if s.CorrectShare != 1 || s.MeanRuns != 8 || s.MeanCost != 48 || s.BoundCost != 48 {
		t.Errorf("rate 1: %+v", s)
	}
	s = simulate(t, SimulationSpec{Rate: 0.5, Strategy: StrategyGitBisectRun, Trials: 300})
	if s.CorrectShare > 0.3 {
		t.Errorf("rate 0.5, every run believed: right in %.2f", s.CorrectShare)
	}
	// Of 256 commits 4 tests have the bug on average: (1-q)^4 is 0.99.
	s = simulate(t, SimulationSpec{Rate: 0.5, Strategy: StrategyFixedRepeats, Trials: 500})
	if s.Repeats != 9 || s.CorrectShare < 0.97 {
		t.Errorf("repeats %d, right in %.3f", s.Repeats, s.CorrectShare)
	}
	s = simulate(t, SimulationSpec{Graph: spinnaker(t), Rate: 1, Strategy: StrategyFixedRepeats, Repeats: 3, Trials: 30, Rules: BisectRules{Find: FindFix}})
	if s.CorrectShare != 1 {
		t.Errorf("a fix, with merges: right in %.3f", s.CorrectShare)
	}
}

func TestSimulationIsDeterministic(t *testing.T) {
	spec := SimulationSpec{Rate: 0.5, Trials: 12, SkipBlocks: 2, SkipLength: 10}
	want := simulate(t, spec)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if got := simulate(t, spec); !reflect.DeepEqual(got, want) {
		t.Errorf("on one processor %+v, on several %+v", got, want)
	}
}

func TestSimulationEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	spec := SimulationSpec{Graph: linear(t, 64), Rate: 0.5, Strategy: StrategyPatchproof, Trials: 1000}
	if _, err := SimulateBisect(ctx, spec); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
}

func TestSimulationSpecValidate(t *testing.T) {
	good := SimulationSpec{Graph: linear(t, 64), Rate: 0.5, Strategy: StrategyPatchproof, Trials: 1}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		change func(*SimulationSpec)
		want   string
	}{
		{func(s *SimulationSpec) { s.Graph = nil }, "without a graph"},
		{func(s *SimulationSpec) { s.Strategy = "luck" }, `strategy "luck"`},
		{func(s *SimulationSpec) { s.Rate = 0 }, "rate 0"},
		{func(s *SimulationSpec) { s.FalseRate = 0.6 }, "false rate 0.6"},
		{func(s *SimulationSpec) { s.BuildCost = -1 }, "build cost -1"},
		{func(s *SimulationSpec) { s.Trials = 0 }, "0 trials"},
		{func(s *SimulationSpec) { s.Repeats = -1 }, "-1 repeats"},
		{func(s *SimulationSpec) { s.SkipBlocks, s.SkipLength = 3, 34 }, "at most half"},
		{func(s *SimulationSpec) { s.Rules.Confidence = 2 }, "confidence 2"},
	} {
		s := good
		tt.change(&s)
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error %v, want %q", err, tt.want)
		}
	}
}

func TestParseSkips(t *testing.T) {
	if blocks, length, err := ParseSkips("3x34"); blocks != 3 || length != 34 || err != nil {
		t.Errorf("3x34: %d blocks of %d, %v", blocks, length, err)
	}
	for _, text := range []string{"", "3", "x", "3x", "0x4", "3x-1", "3x4x5", "axb"} {
		if _, _, err := ParseSkips(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

// TestZCapacity compares the formula with the largest mutual information over
// how often the bug is there.
func TestZCapacity(t *testing.T) {
	for _, p := range []float64{0.01, 0.1, 0.2, 0.5, 0.9, 1} {
		best := 0.0
		for a := 0.0; a <= 1; a += 1e-4 {
			best = math.Max(best, binaryEntropy(a*p)-a*binaryEntropy(p))
		}
		near(t, fmt.Sprintf("capacity at %g", p), ZCapacity(p), best, 1e-6)
	}
}

// TestBisectTables prints the rows of the tables in docs/bisect.md.
func TestBisectTables(t *testing.T) {
	if !*bisectTable {
		t.Skip("only with -bisect-table")
	}
	row := func(name string, trials int, s SimulationSpec) {
		s.Trials, s.BuildCost = trials, 5
		if s.Graph == nil {
			s.Graph = linear(t, 1024)
		}
		r := simulate(t, s)
		fmt.Printf("| %s | %g | %.1f%% | %.1f (%.2f) | %.1f | %.1f (%.2f) | %.1f | %.1f | %.1f |\n", name, s.Rate,
			100*r.CorrectShare, r.MeanRuns, r.MeanRuns/r.BoundRuns, r.MeanBuilds, r.MeanCost, r.MeanCost/r.BoundCost,
			r.CalibrationRuns, r.ConfirmationRuns, r.TotalCost)
		if r.Inside != nil {
			fmt.Printf("  inside %+v, outside %+v\n", *r.Inside, *r.Outside)
		}
	}
	rates := []float64{1, 0.5, 0.2, 0.1}
	t.Run("main", func(*testing.T) {
		for _, p := range rates {
			row("rate known", 1000, SimulationSpec{Rate: p, Rules: BisectRules{KnownRate: p}})
			row("rate unknown", 1000, SimulationSpec{Rate: p})
			row("fixed repeats", 1000, SimulationSpec{Rate: p, Strategy: StrategyFixedRepeats})
			row("git bisect run", 1000, SimulationSpec{Rate: p, Strategy: StrategyGitBisectRun})
		}
	})
	t.Run("variants", func(t *testing.T) {
		for _, p := range rates {
			for i, r := range []BisectRules{{KnownRate: p}, {}} {
				name := []string{"known", "unknown"}[i]
				row("merges, "+name, 200, SimulationSpec{Rate: p, Graph: spinnaker(t), Rules: r})
				row("a line, "+name, 200, SimulationSpec{Rate: p, Graph: linear(t, 906), Rules: r})
				row("skips 3x34, "+name, 200, SimulationSpec{Rate: p, SkipBlocks: 3, SkipLength: 34, Rules: r})
				row("no skips, "+name, 200, SimulationSpec{Rate: p, Rules: r})
				row("false rate 1%, "+name, 500, SimulationSpec{Rate: p, FalseRate: 0.01, Rules: r})
			}
		}
	})
}
