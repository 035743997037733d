package judge

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// BisectStrategy is a way to bisect that can be simulated.
type BisectStrategy string

// The strategies.
const (
	// StrategyPatchproof is Bisection.
	StrategyPatchproof BisectStrategy = "patchproof"
	// StrategyGitBisectRun believes every run, as git bisect run does.
	StrategyGitBisectRun BisectStrategy = "git-bisect-run"
	// StrategyFixedRepeats runs every commit a number of times, or until it
	// reproduces, and believes that.
	StrategyFixedRepeats BisectStrategy = "fixed-repeats"
)

// BisectStrategies lists the strategies.
func BisectStrategies() []BisectStrategy {
	return []BisectStrategy{StrategyPatchproof, StrategyGitBisectRun, StrategyFixedRepeats}
}

// SimulationSpec says what to simulate.
type SimulationSpec struct {
	Graph    *Graph
	Rules    BisectRules // KnownRate is what the search is told
	Strategy BisectStrategy
	// Repeats is the number of runs a commit of StrategyFixedRepeats; 0 is the
	// smallest that is right in 99% when nothing but the rate goes wrong.
	Repeats int
	// Rate and FalseRate are the true chances that a run at a commit with the
	// bug, and one without it, shows the signature.
	Rate, FalseRate float64
	BuildCost       float64 // in runs
	// SkipBlocks untestable blocks of SkipLength commits lie at random places,
	// others in each trial. Each try at one costs a build and a run.
	SkipBlocks, SkipLength int
	Trials                 int
	Seed                   uint64
}

// Validate reports the first field that makes no sense, and what would.
func (s SimulationSpec) Validate() error {
	switch {
	case s.Graph == nil:
		return fmt.Errorf("a simulation without a graph")
	case !slices.Contains(BisectStrategies(), s.Strategy):
		return fmt.Errorf("strategy %q: expected patchproof, git-bisect-run or fixed-repeats", s.Strategy)
	case !(s.Rate > 0 && s.Rate <= 1):
		return fmt.Errorf("rate %g: give a chance per run above 0 and at most 1", s.Rate)
	case !(s.FalseRate >= 0 && s.FalseRate < s.Rate):
		return fmt.Errorf("false rate %g: give a chance per run from 0 to below the rate %g", s.FalseRate, s.Rate)
	case !(s.BuildCost >= 0 && s.BuildCost <= maxBuildCost):
		return fmt.Errorf("build cost %g: give a number of runs from 0 to %d", s.BuildCost, maxBuildCost)
	case s.Trials < 1 || s.Trials > maxTrials:
		return fmt.Errorf("%d trials: give at least 1 and at most %d", s.Trials, maxTrials)
	case s.Repeats < 0 || s.Repeats > tunedMost:
		return fmt.Errorf("%d repeats: give at least 1 and at most %d, or auto", s.Repeats, tunedMost)
	case s.SkipBlocks < 0 || s.SkipLength < 0 || s.SkipLength > 0 && s.SkipBlocks > s.Graph.Len()/2/s.SkipLength:
		return fmt.Errorf("skips of %d blocks of %d commits: give at most half of the %d commits", s.SkipBlocks, s.SkipLength, s.Graph.Len())
	}
	return s.Rules.Validate(s.Graph.Len())
}

// What a simulation is kept to, so that a slip of the finger does not take all of
// a machine's memory.
const (
	maxTrials    = 1_000_000
	maxBuildCost = 1_000_000
	maxLinear    = 1_000_000
)

// ParseSkips reads untestable blocks in the form 3x34: three blocks of 34
// commits.
func ParseSkips(text string) (blocks, length int, err error) {
	before, after, _ := strings.Cut(text, "x")
	blocks, err = strconv.Atoi(before)
	if err == nil {
		length, err = strconv.Atoi(after)
	}
	if err != nil || blocks < 1 || length < 1 {
		return 0, 0, fmt.Errorf("expected BLOCKSxCOMMITS such as 3x34, got %q", text)
	}
	return blocks, length, nil
}

// Simulation is what a simulation found. Runs, builds and cost are means a
// trial, and those of the search alone unless they say otherwise.
type Simulation struct {
	Strategy     BisectStrategy `json:"strategy"`
	Trials       int            `json:"trials"`
	Commits      int            `json:"commits"`
	Repeats      int            `json:"repeats,omitempty"`
	CorrectShare float64        `json:"correct_share"`
	MeanRuns     float64        `json:"mean_runs"`
	MedianRuns   float64        `json:"median_runs"`
	MeanBuilds   float64        `json:"mean_builds"`
	MeanCost     float64        `json:"mean_cost"` // runs and builds times the build cost
	// CalibrationRuns verified the ends and ConfirmationRuns confirmed the
	// answer; neither is in MeanRuns. TotalCost has them, and all builds.
	CalibrationRuns  float64 `json:"calibration_runs"`
	ConfirmationRuns float64 `json:"confirmation_runs"`
	TotalCost        float64 `json:"total_cost"`
	// MeanConfidence is the mean of the probabilities at which the confirmation
	// began, 0 where it never did.
	MeanConfidence float64 `json:"mean_confidence,omitempty"`
	// BoundRuns is log2(commits)/C(rate) and BoundCost adds log2(commits)
	// builds: no search that is right can do with less on average, up to what
	// the confidence leaves open.
	BoundRuns float64 `json:"bound_runs"`
	BoundCost float64 `json:"bound_cost"`
	// Inside and Outside split the trials by whether the culprit is untestable
	// itself; nil without skips.
	Inside  *SkipShare `json:"inside,omitempty"`
	Outside *SkipShare `json:"outside,omitempty"`
}

// SkipShare is the part of the trials whose culprit lies inside, or outside, the
// untestable blocks.
type SkipShare struct {
	Trials       int     `json:"trials"`
	HoldsCulprit float64 `json:"holds_culprit"` // share of answers that hold it
	MeanSet      float64 `json:"mean_set"`      // commits in the answer
	MeanCost     float64 `json:"mean_cost"`
}

// ZCapacity is the capacity, in bits a run, of the channel between "the commit
// has the bug" and what a run shows, when a bug shows with the given rate and
// nothing else looks like it: the Z-channel.
//
// Source: L. G. Tallini, S. Al-Bassam and B. Bose, "On the capacity and codes
// for the Z-channel", IEEE ISIT 2002.
func ZCapacity(rate float64) float64 {
	if rate >= 1 {
		return 1
	}
	return math.Log2(1 + rate*math.Pow(1-rate, (1-rate)/rate))
}

// trial is what happened in one trial.
type trial struct {
	runs, calibration, confirmation int
	builds, allBuilds               int
	confidence                      float64
	set                             []int
	right, inside                   bool
}

func (t trial) cost(build float64) float64 { return float64(t.runs) + build*float64(t.builds) }

// SimulateBisect bisects at random culprits, each equally probable. Trials run
// in parallel; the result depends on the specification alone. It ends early
// with the context's error.
func SimulateBisect(ctx context.Context, s SimulationSpec) (Simulation, error) {
	if err := s.Validate(); err != nil {
		return Simulation{}, err
	}
	switch {
	case s.Strategy == StrategyGitBisectRun:
		s.Repeats = 1
	case s.Strategy == StrategyFixedRepeats && s.Repeats == 0:
		s.Repeats = tuneRepeats(s.Graph, s.Rate)
	}
	trials := make([]trial, s.Trials)
	var next atomic.Int64
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < s.Trials && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				trials[i] = s.trial(ctx, i)
			}
		})
	}
	group.Wait()
	if err := ctx.Err(); err != nil {
		return Simulation{}, err
	}
	return s.summary(trials), nil
}

// world is the truth of one trial.
type world struct {
	ctx      context.Context // when it ends, so does the trial, without an answer
	spec     *SimulationSpec
	rng      *rand.Rand
	culprit  int
	affected map[int]bool // nodes with the bug, as they are asked for
	skipped  []bool
	built    map[int]bool
}

func (s *SimulationSpec) trial(ctx context.Context, i int) trial {
	w := &world{ctx: ctx, spec: s, rng: rand.New(rand.NewPCG(s.Seed, uint64(i))), affected: map[int]bool{}, built: map[int]bool{}}
	w.skipped = w.skips()
	w.culprit = w.rng.IntN(s.Graph.Len())
	var t trial
	if s.Strategy == StrategyPatchproof {
		t = w.search()
	} else {
		t = w.repeat(s.Repeats)
	}
	t.inside = w.skipped[w.culprit]
	t.right = slices.Contains(t.set, w.culprit)
	return t
}

// skips lays the untestable blocks, none over another.
func (w *world) skips() []bool {
	n, blocks, length := w.spec.Graph.Len(), w.spec.SkipBlocks, w.spec.SkipLength
	out := make([]bool, n)
	// Places in what is left when every block is squeezed to nothing.
	var places []int
	for range blocks {
		places = append(places, w.rng.IntN(n-blocks*length+1))
	}
	slices.Sort(places)
	for i, place := range places {
		for j := range length {
			out[place+i*length+j] = true
		}
	}
	return out
}

// run is one run at a node or an end.
func (w *world) run(node int) BisectOutcome {
	w.built[node] = true
	if node >= 0 && w.skipped[node] && node < w.spec.Graph.Len()-1 {
		return BisectUntestable
	}
	if w.rng.Float64() < w.spec.FalseRate || w.hasBug(node) && w.rng.Float64() < w.spec.Rate {
		return BisectBad
	}
	return BisectGood
}

// hasBug reports whether a run at node can show the bug.
func (w *world) hasBug(node int) bool {
	has, known := w.affected[node]
	if !known {
		has = node == NewEnd
		if node >= 0 {
			for v := range w.spec.Graph.Ancestors(node) {
				if v == w.culprit {
					has = true
					break
				}
			}
		}
		w.affected[node] = has
	}
	return has == (w.spec.Rules.WithDefaults().Find == FindCulprit)
}

// search lets a Bisection do its work.
func (w *world) search() trial {
	cost := func(node int) float64 {
		if w.built[node] {
			return 0
		}
		return w.spec.BuildCost
	}
	b, err := NewBisection(w.spec.Graph, w.spec.Rules, cost)
	if err != nil {
		panic(err) // Validate has seen the rules
	}
	var t trial
	for w.ctx.Err() == nil {
		step, ok := b.Next()
		if !ok {
			break
		}
		fresh := !w.built[step.Node]
		switch step.Purpose {
		case PurposeCalibrate:
			t.calibration++
		case PurposeConfirm:
			if t.confirmation == 0 {
				t.confidence = b.look().held
			}
			t.confirmation++
		default:
			t.runs++
			if fresh {
				t.builds++
			}
		}
		b.Observe(step.Node, w.run(step.Node))
	}
	t.allBuilds = len(w.built)
	if a := b.Answer(); a.Found {
		t.set = a.Set
	}
	return t
}

// summary adds the trials up.
func (s *SimulationSpec) summary(trials []trial) Simulation {
	out := Simulation{Strategy: s.Strategy, Trials: len(trials), Commits: s.Graph.Len(), Repeats: s.Repeats}
	if s.SkipBlocks*s.SkipLength > 0 {
		out.Inside, out.Outside = &SkipShare{}, &SkipShare{}
	}
	var runs []int
	for _, t := range trials {
		runs = append(runs, t.runs)
		out.MeanRuns += float64(t.runs)
		out.MeanBuilds += float64(t.builds)
		out.MeanCost += t.cost(s.BuildCost)
		out.CalibrationRuns += float64(t.calibration)
		out.ConfirmationRuns += float64(t.confirmation)
		out.TotalCost += float64(t.runs+t.calibration+t.confirmation) + s.BuildCost*float64(t.allBuilds)
		out.MeanConfidence += t.confidence
		if t.right {
			out.CorrectShare++
		}
		switch {
		case out.Inside == nil:
		case t.inside:
			out.Inside.add(t, s.BuildCost)
		default:
			out.Outside.add(t, s.BuildCost)
		}
	}
	for _, sum := range []*float64{&out.CorrectShare, &out.MeanRuns, &out.MeanBuilds, &out.MeanCost,
		&out.CalibrationRuns, &out.ConfirmationRuns, &out.TotalCost, &out.MeanConfidence} {
		*sum /= float64(len(trials))
	}
	out.Inside.divide()
	out.Outside.divide()
	slices.Sort(runs)
	out.MedianRuns = float64(runs[(len(runs)-1)/2]+runs[len(runs)/2]) / 2
	bits := math.Log2(float64(s.Graph.Len()))
	out.BoundRuns = bits / ZCapacity(s.Rate)
	out.BoundCost = s.BuildCost*bits + out.BoundRuns
	return out
}

func (s *SkipShare) add(t trial, build float64) {
	s.Trials++
	s.MeanSet += float64(len(t.set))
	s.MeanCost += t.cost(build)
	if t.right {
		s.HoldsCulprit++
	}
}

// divide turns sums into means.
func (s *SkipShare) divide() {
	if s != nil && s.Trials > 0 {
		n := float64(s.Trials)
		s.MeanSet, s.MeanCost, s.HoldsCulprit = s.MeanSet/n, s.MeanCost/n, s.HoldsCulprit/n
	}
}
