package judge

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// drive runs a search to its end, at most limit runs. It returns the steps that
// were taken, one for each run.
func drive(t *testing.T, b *Bisection, limit int, run func(Step) BisectOutcome) []Step {
	t.Helper()
	var steps []Step
	for len(steps) < limit {
		step, ok := b.Next()
		if !ok {
			if !b.Answer().Done {
				t.Fatal("no next step, but not done")
			}
			return steps
		}
		if step.Runs < 1 || step.Cost <= 0 {
			t.Fatalf("step %+v", step)
		}
		steps = append(steps, step)
		b.Observe(step.Node, run(step))
	}
	return steps
}

func linear(t testing.TB, n int) *Graph {
	t.Helper()
	g, err := LinearGraph(n)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func search(t testing.TB, g *Graph, r BisectRules) *Bisection {
	t.Helper()
	b, err := NewBisection(g, r, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// shows is a bug that shows in every run from the culprit on, or for a fix in
// every run before it.
func shows(g *Graph, culprit int, find Find) func(Step) BisectOutcome {
	return func(s Step) BisectOutcome {
		in := s.Node == NewEnd || s.Node >= 0 && naiveAncestors(g, s.Node)[culprit]
		if in == (find == FindCulprit) {
			return BisectBad
		}
		return BisectGood
	}
}

func TestFindsEveryCulpritAndFix(t *testing.T) {
	g := randomGraph(t, 24, 0.4, rand.New(rand.NewPCG(3, 1)))
	for _, find := range []Find{FindCulprit, FindFix} {
		for culprit := range g.Len() {
			b := search(t, g, BisectRules{Find: find})
			steps := drive(t, b, 400, shows(g, culprit, find))
			a := b.Answer()
			if !a.Found || !slices.Equal(a.Set, []int{culprit}) || a.EndpointDoubt != "" {
				t.Fatalf("%s %d after %d runs: %v, %s %s", find, culprit, len(steps), a.Set, a.Reason, a.EndpointDoubt)
			}
			if a.SetProbability < 0.99 || a.Ranked[0].Node != culprit || a.RateMean < 0.8 {
				t.Errorf("%s %d: probability %g, first %v, rate %g", find, culprit, a.SetProbability, a.Ranked[0], a.RateMean)
			}
			order := map[Purpose]int{PurposeCalibrate: 0, PurposeSearch: 1, PurposeConfirm: 2}
			if !slices.IsSortedFunc(steps, func(x, y Step) int { return order[x.Purpose] - order[y.Purpose] }) {
				t.Errorf("%s %d: purposes out of order in %v", find, culprit, steps)
			}
			// Fresh runs of the culprit and of each parent, or of the old end.
			for _, node := range append(g.Parents[culprit], culprit) {
				confirmed := func(s Step) bool { return s.Node == node && s.Purpose == PurposeConfirm }
				if !slices.ContainsFunc(steps, confirmed) {
					t.Errorf("%s %d was not confirmed at %d", find, culprit, node)
				}
			}
		}
	}
}

func TestReplayGivesTheSameState(t *testing.T) {
	g := spinnaker(t)
	rng := rand.New(rand.NewPCG(3, 2))
	bug := shows(g, 700, FindCulprit)
	b := search(t, g, BisectRules{})
	type seen struct {
		node int
		o    BisectOutcome
	}
	var log []seen
	drive(t, b, 120, func(s Step) BisectOutcome {
		o := bug(s)
		switch {
		case s.Node >= 0 && s.Node%10 == 3:
			o = BisectUntestable
		case o == BisectBad && rng.IntN(3) > 0:
			o = BisectGood
		}
		log = append(log, seen{s.Node, o})
		return o
	})
	// The replay is not asked for steps on the way.
	again := search(t, g, BisectRules{})
	for _, s := range log {
		again.Observe(s.node, s.o)
	}
	if got, want := again.Answer(), b.Answer(); !reflect.DeepEqual(got, want) {
		t.Errorf("replayed: %s, set %v; was %s, set %v", got.Reason, got.Set, want.Reason, want.Set)
	}
	got, _ := again.Next()
	if want, _ := b.Next(); got != want {
		t.Errorf("replayed, the next step is %+v, was %+v", got, want)
	}
}

func TestEndsAreVerified(t *testing.T) {
	always := func(o BisectOutcome) func(Step) BisectOutcome { return func(Step) BisectOutcome { return o } }
	at := func(node int, o BisectOutcome) func(Step) BisectOutcome {
		return func(s Step) BisectOutcome {
			if s.Node == node {
				return o
			}
			return BisectBad
		}
	}
	for _, tt := range []struct {
		name  string
		rules BisectRules
		run   func(Step) BisectOutcome
		doubt string
		most  int
	}{
		{"the new end never reproduces", BisectRules{}, always(BisectGood), "the new end has reproduced in 0 of 100 runs", 100},
		{"nor at a known rate", BisectRules{KnownRate: 0.5}, always(BisectGood), "the new end has reproduced in 0 of", 20},
		{"the old end reproduces", BisectRules{}, always(BisectBad), "the old end has the bug too", 20},
		{"the old end cannot be tested", BisectRules{}, at(OldEnd, BisectUntestable), "the old end cannot be tested", 20},
		{"the new end cannot be tested", BisectRules{}, at(7, BisectUntestable), "the new end cannot be tested", 1},
		{"a fix: the new end still reproduces", BisectRules{Find: FindFix}, always(BisectBad), "the new end has the bug too", 20},
		{"a fix: the old end never reproduces", BisectRules{Find: FindFix}, always(BisectGood), "the old end has reproduced in 0 of 100", 100},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := search(t, linear(t, 8), tt.rules)
			steps := drive(t, b, 200, tt.run)
			a := b.Answer()
			if !a.Done || a.Found || !strings.Contains(a.EndpointDoubt, tt.doubt) || len(steps) > tt.most {
				t.Errorf("after %d runs: done %v, found %v, doubt %q; want %q in at most %d runs",
					len(steps), a.Done, a.Found, a.EndpointDoubt, tt.doubt, tt.most)
			}
		})
	}
}

func TestSeveralTipsHaveANewEndOfTheirOwn(t *testing.T) {
	g, err := NewGraph([][]int{nil, {0}, {0}}) // two tips
	if err != nil {
		t.Fatal(err)
	}
	for culprit := range 3 {
		b := search(t, g, BisectRules{})
		steps := drive(t, b, 200, shows(g, culprit, FindCulprit))
		if steps[0].Node != NewEnd {
			t.Errorf("the first step is at %d, want the new end", steps[0].Node)
		}
		if a := b.Answer(); !a.Found || !slices.Equal(a.Set, []int{culprit}) {
			t.Errorf("culprit %d: %v, %s", culprit, a.Set, a.Reason)
		}
	}
}

func TestUntestableCommitsLeaveASet(t *testing.T) {
	g := linear(t, 64)
	untestable := func(v int) bool { return v >= 30 && v < 36 }
	for _, tt := range []struct {
		culprit int
		set     []int
	}{
		{33, []int{30, 31, 32, 33, 34, 35, 36}},
		{36, []int{30, 31, 32, 33, 34, 35, 36}}, // the first that can be tested again
		{29, []int{29}},
		{37, []int{37}},
	} {
		b := search(t, g, BisectRules{KnownRate: 1})
		bug := shows(g, tt.culprit, FindCulprit)
		steps := drive(t, b, 300, func(s Step) BisectOutcome {
			if untestable(s.Node) {
				return BisectUntestable
			}
			return bug(s)
		})
		a := b.Answer()
		set := slices.Sorted(slices.Values(a.Set))
		if !a.Found || !slices.Equal(set, tt.set) {
			t.Errorf("culprit %d: found %v after %d runs, set %v, want %v: %s", tt.culprit, a.Found, len(steps), set, tt.set, a.Reason)
		}
	}
}

// TestAlikeOnMerges checks groups on a graph where an untestable commit has
// children on two branches, and is therefore told apart from both.
func TestAlikeOnMerges(t *testing.T) {
	// 0 - 1 - 2 ----- 5
	//       \ 3 - 4 /
	g, err := NewGraph([][]int{nil, {0}, {1}, {1}, {3}, {2, 4}})
	if err != nil {
		t.Fatal(err)
	}
	b := search(t, g, BisectRules{})
	for _, v := range []int{1, 3} {
		b.Observe(v, BisectUntestable)
	}
	// Nothing else is presumed untestable here, whatever its neighbours are.
	for v := range g.Len() {
		if v != 1 && v != 3 {
			b.Observe(v, BisectGood)
		}
	}
	var got [][]int
	for _, group := range b.alike() {
		got = append(got, slices.Sorted(slices.Values(group)))
	}
	slices.SortFunc(got, func(x, y []int) int { return x[0] - y[0] })
	if want := [][]int{{0}, {1}, {2}, {3, 4}, {5}}; !reflect.DeepEqual(got, want) {
		t.Errorf("groups %v, want %v", got, want)
	}
}

func TestConfirmationThatContradicts(t *testing.T) {
	b := search(t, linear(t, 32), BisectRules{KnownRate: 0.5})
	bug := shows(b.graph, 20, FindCulprit)
	confirming := false
	drive(t, b, 400, func(s Step) BisectOutcome {
		if s.Purpose == PurposeConfirm {
			confirming = true
		}
		// Until then 20 and 19 look as if 21 were the culprit.
		if !confirming && (s.Node == 20 || s.Node == 19) {
			return BisectGood
		}
		return bug(s)
	})
	if a := b.Answer(); !a.Found || !slices.Equal(a.Set, []int{20}) {
		t.Errorf("found %v, set %v, %s: the confirmation must have overruled the search", a.Found, a.Set, a.Reason)
	}
}

func TestLimits(t *testing.T) {
	for _, tt := range []struct {
		rules BisectRules
		runs  int
		want  string
	}{
		{BisectRules{MaxRuns: 7}, 7, "limit of 7 runs"},
		{BisectRules{MaxCost: 20, RunCost: 2}, 10, "cost limit of 20"},
	} {
		b := search(t, linear(t, 1000), tt.rules)
		steps := drive(t, b, 100, func(s Step) BisectOutcome {
			if tt.rules.MaxRuns > 0 && s.Runs > tt.rules.MaxRuns-b.runs {
				t.Errorf("%d runs asked for, %d are left", s.Runs, tt.rules.MaxRuns-b.runs)
			}
			return shows(b.graph, 400, FindCulprit)(s)
		})
		a := b.Answer()
		if len(steps) != tt.runs || a.Found || !strings.Contains(a.Reason, tt.want) || len(a.Set) < 2 {
			t.Errorf("%d runs, found %v, %q, set of %d; want %d runs and %q", len(steps), a.Found, a.Reason, len(a.Set), tt.runs, tt.want)
		}
	}
}

func TestEstimateFalls(t *testing.T) {
	b := search(t, linear(t, 1000), BisectRules{KnownRate: 1})
	last := b.Answer().RunsLeft
	if last < 10 || last > 40 {
		t.Errorf("%.1f runs left at the start, of about 15", last)
	}
	drive(t, b, 12, shows(b.graph, 400, FindCulprit))
	if left := b.Answer().RunsLeft; left >= last {
		t.Errorf("%.1f runs left after 12, %.1f at the start", left, last)
	}
}

func TestBisectRulesValidate(t *testing.T) {
	for _, tt := range []struct {
		rules BisectRules
		want  string
	}{
		{BisectRules{}, ""},
		{BisectRules{Prior: []float64{0, 1}}, ""},
		{BisectRules{Find: "bug"}, "expected culprit or fix"},
		{BisectRules{Confidence: 1}, "confidence 1"},
		{BisectRules{FalseRate: 0.5}, "false rate 0.5"},
		{BisectRules{KnownRate: 1.5}, "known rate 1.5"},
		{BisectRules{MaxRuns: -1}, "not negative"},
		{BisectRules{RunCost: -1}, "run cost -1"},
		{BisectRules{Prior: []float64{1}}, "1 weights for 2 commits"},
		{BisectRules{Prior: []float64{1, -1}}, "prior weight -1 of node 1"},
		{BisectRules{Prior: []float64{0, 0}}, "without any weight"},
	} {
		_, err := NewBisection(linear(t, 2), tt.rules, nil)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%+v: error %v, want %q", tt.rules, err, tt.want)
		}
	}
}

// TestStatedProbability draws bugs from the prior and compares the probability
// at which the search ends with how often it is right there.
func TestStatedProbability(t *testing.T) {
	for _, tt := range []struct {
		known  float64
		trials int
	}{{0.3, 400}, {0, 50}} {
		rng := rand.New(rand.NewPCG(3, 3))
		stated, right := 0.0, 0.0
		for range tt.trials {
			held, correct := searchPrior(t, BisectRules{Confidence: 0.7, KnownRate: tt.known}, rng)
			stated += held / float64(tt.trials)
			if correct {
				right += 1 / float64(tt.trials)
			}
		}
		t.Logf("known rate %g: stated %.3f, right in %.3f", tt.known, stated, right)
		// Four standard deviations of the share.
		near(t, "share right", right, stated, 4*0.5/math.Sqrt(float64(tt.trials)))
	}
}

// searchPrior draws a culprit and its rates from the prior, and searches to the
// end.
func searchPrior(t *testing.T, r BisectRules, rng *rand.Rand) (held float64, right bool) {
	b := search(t, linear(t, 32), r)
	grid := b.post.rates
	j, u := 0, rng.Float64()
	for u > grid.prior[j] {
		u -= grid.prior[j]
		j++
	}
	culprit := rng.IntN(b.graph.Len())
	bug := shows(b.graph, culprit, FindCulprit)
	for {
		step, ok := b.Next()
		if !ok {
			v := b.look()
			return v.held, v.group[0] == culprit
		}
		chance := grid.looks[j]
		if bug(step) == BisectBad {
			chance = grid.shows[j]
		}
		outcome := BisectGood
		if rng.Float64() < chance {
			outcome = BisectBad
		}
		b.Observe(step.Node, outcome)
	}
}

// BenchmarkNext20000 chooses a commit in a history of 20,000 of which two in
// five are merges, in the middle of a search.
func BenchmarkNext20000(b *testing.B) {
	g := randomGraph(b, 20000, 0.4, rand.New(rand.NewPCG(4, 4)))
	s := search(b, g, BisectRules{})
	rng := rand.New(rand.NewPCG(4, 5))
	culprit := 7777
	for range b.N {
		step, ok := s.Next()
		if !ok {
			b.StopTimer()
			s, culprit = search(b, g, BisectRules{}), rng.IntN(g.Len())
			b.StartTimer()
			continue
		}
		outcome := BisectGood
		if (step.Node == NewEnd || step.Node >= 0 && naiveAncestors(g, step.Node)[culprit]) && rng.IntN(2) == 0 {
			outcome = BisectBad
		}
		s.Observe(step.Node, outcome)
	}
}

// TestFoundByTheLastRun: a limit that just sufficed has not kept the answer back,
// and one run less has.
func TestFoundByTheLastRun(t *testing.T) {
	for _, p := range []float64{0, 1} {
		free := search(t, linear(t, 32), BisectRules{KnownRate: p})
		needed := len(drive(t, free, 200, shows(free.graph, 20, FindCulprit)))
		for _, short := range []int{0, 1} {
			b := search(t, linear(t, 32), BisectRules{KnownRate: p, MaxRuns: needed - short})
			drive(t, b, 200, shows(b.graph, 20, FindCulprit))
			if a := b.Answer(); !a.Done || a.Found != (short == 0) || a.Found != !strings.Contains(a.Reason, "limit") {
				t.Errorf("rate %v, %d of %d runs: done %v, found %v: %s", p, needed-short, needed, a.Done, a.Found, a.Reason)
			}
		}
	}
	both := search(t, linear(t, 8), BisectRules{})
	needed := len(drive(t, both, 200, func(Step) BisectOutcome { return BisectBad }))
	b := search(t, linear(t, 8), BisectRules{MaxRuns: needed})
	drive(t, b, 200, func(Step) BisectOutcome { return BisectBad })
	if a := b.Answer(); !strings.Contains(a.Reason, "the old end has the bug too") {
		t.Errorf("both ends have the bug: %s", a.Reason)
	}
}
