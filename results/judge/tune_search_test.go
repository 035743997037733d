package judge

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// raceModel is a made-up race with the traits of the real one: the chance grows
// with the events, with the threads for a working set, and by perturbing, which
// works best on one vCPU.
type raceModel struct{ events, size, threads, vcpus, perturb []float64 }

func newRaceModel() raceModel {
	return raceModel{
		events: []float64{300_000, 100_000, 30_000, 10_000, 3000, 1000, 300},
		size:   []float64{8192, 64, 4, 1}, threads: []float64{2, 8, 32, 64}, vcpus: []float64{1, 2, 4}, perturb: []float64{0, 8, 16},
	}
}

func (m raceModel) space() TuneSpace {
	axis := func(values []float64, start int, unlikely ...int) TuneAxis {
		return TuneAxis{Values: len(values), Start: start, Unlikely: unlikely}
	}
	return TuneSpace{Axes: []TuneAxis{axis(m.events, 0, 0), axis(m.size, 0, 0), axis(m.threads, 1), axis(m.vcpus, 1), axis(m.perturb, 0)}}
}

// of returns the chance that a run reproduces, and its cost.
func (m raceModel) of(s []int) (p, cost float64) {
	events, size, threads, vcpus := m.events[s[0]], m.size[s[1]], m.threads[s[2]], m.vcpus[s[3]]
	rate := 2e-6 * vcpus * math.Min(1, threads/8/size)
	if m.perturb[s[4]] > 0 {
		rate = 2e-4 / vcpus * math.Min(1, threads/8/size) * m.perturb[s[4]] / 16
	}
	return -math.Expm1(-rate * events), 3.5 + 0.3*vcpus + size/60 + events/1500
}

// best is the highest rate of all settings.
func (m raceModel) best() float64 {
	best := 0.0
	axes := m.space().Axes
	s := make([]int, len(axes))
	for {
		p, cost := m.of(s)
		best = max(best, p/cost)
		i := 0
		for ; i < len(s); i++ {
			if s[i]++; s[i] < axes[i].Values {
				break
			}
			s[i] = 0
		}
		if i == len(s) {
			return best
		}
	}
}

// simulateTune carries a search out with the given processor time and so many
// runs at once. It returns the search and what it spent.
func simulateTune(t *testing.T, m raceModel, first [][]int, seconds float64, jobs int, seed uint64) (*TuneSearch, float64) {
	t.Helper()
	s, err := NewTuneSearch(m.space(), first, TuneRules{Settings: 32, LeastSeconds: 8, Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	spent := 0.0
	for left := s.Left(seconds); left > 0 && s.Begin((seconds-spent)/float64(left), seconds-spent); left = s.Left(0) {
		var flying []int
		for {
			arm, ok := s.Next()
			if ok && len(flying) < jobs {
				s.Started(arm)
				flying = append(flying, arm)
				continue
			}
			if len(flying) == 0 {
				break
			}
			arm, flying = flying[0], flying[1:]
			p, cost := m.of(s.Arms()[arm].Setting)
			run := TuneRun{Outcome: Clean, CPU: cost * (0.9 + 0.2*rng.Float64())}
			if limit := s.Limit(); run.CPU > limit {
				run = TuneRun{Outcome: Invalid, Cut: true, CPU: limit}
			} else if rng.Float64() < p {
				run.Outcome = Reproduced
			}
			spent += run.CPU
			s.Observe(arm, run)
		}
	}
	return s, spent
}

// TestTuneSearch: with some minutes of two processors the search comes close to
// the best of about a thousand settings in most trials, and keeps to its time.
func TestTuneSearch(t *testing.T) {
	m := newRaceModel()
	best := m.best()
	// A corner that one would think of: the smallest working set, 10,000
	// requests, one processor, perturbed.
	corner := [][]int{{3, 3, 1, 0, 1}}
	for _, tt := range []struct {
		name        string
		first       [][]int
		half, tenth int // trials in a hundred that must come that close
	}{{"by chance alone", nil, 70, 90}, {"with a corner", corner, 88, 97}} {
		half, tenth := 0, 0
		const trials = 200
		for seed := range uint64(trials) {
			s, spent := simulateTune(t, m, tt.first, 1000, 2, seed)
			if spent > 1.1*1000 {
				t.Errorf("%s, seed %d: %.0f CPU-seconds spent of 1000", tt.name, seed, spent)
			}
			ranked := s.Ranked()
			if len(ranked) == 0 {
				continue
			}
			p, cost := m.of(s.Arms()[ranked[0]].Setting)
			if p/cost >= best/2 {
				half++
			}
			if p/cost >= best/10 {
				tenth++
			}
		}
		t.Logf("%s: in %d of %d trials half of the best rate or more, in %d a tenth", tt.name, half, trials, tenth)
		if half < trials*tt.half/100 || tenth < trials*tt.tenth/100 {
			t.Errorf("%s: in %d of %d trials half of the best rate or more, in %d a tenth", tt.name, half, trials, tenth)
		}
	}
}

// TestTuneSearchBudget: a search keeps to its time, also where it is little, and
// its rungs halve.
func TestTuneSearchBudget(t *testing.T) {
	m := newRaceModel()
	for _, seconds := range []float64{60, 150, 400, 3000} {
		s, spent := simulateTune(t, m, nil, seconds, 2, 7)
		if spent > 1.2*seconds+20 || spent < 0.4*seconds {
			t.Errorf("%.0f CPU-seconds spent of %.0f", spent, seconds)
		}
		if s.Left(0) != 0 || s.Rung() != len(s.sizes) {
			t.Errorf("%.0f CPU-seconds: %d rungs of %v", seconds, s.Rung(), s.sizes)
		}
		for i := 1; i < len(s.sizes); i++ {
			if s.sizes[i] != (s.sizes[i-1]+1)/2 {
				t.Errorf("rungs %v", s.sizes)
			}
		}
		for i, a := range s.Arms() {
			if slices.ContainsFunc(s.Arms()[:i], func(b *TuneArm) bool { return slices.Equal(a.Setting, b.Setting) }) {
				t.Errorf("setting %v was drawn twice", a.Setting)
			}
			if slices.Equal(a.Setting, []int{0, 0, 1, 1, 0}) {
				t.Error("the start was drawn")
			}
		}
	}
}

func TestTuneSearchDropsInvalid(t *testing.T) {
	space := TuneSpace{Axes: []TuneAxis{{Values: 4}}}
	s, err := NewTuneSearch(space, [][]int{{1}}, TuneRules{Settings: 3, LeastSeconds: 10})
	if err != nil {
		t.Fatal(err)
	}
	if !s.Begin(100, 100) {
		t.Fatal("no rung")
	}
	for {
		arm, ok := s.Next()
		if !ok {
			break
		}
		s.Started(arm)
		run := TuneRun{Outcome: Reproduced, CPU: 5}
		if arm == 0 {
			run = TuneRun{Outcome: Invalid, CPU: 5}
		}
		s.Observe(arm, run)
	}
	if a := s.Arms()[0]; !slices.Equal(a.Setting, []int{1}) || !a.Dropped || len(a.Runs) != 2 {
		t.Errorf("the first setting: %+v, want it dropped after two invalid runs", a)
	}
	if got := s.Ranked(); len(got) != 2 || slices.Contains(got, 0) {
		t.Errorf("ranked %v", got)
	}
}

func TestNewTuneSearch(t *testing.T) {
	if _, err := NewTuneSearch(TuneSpace{}, nil, TuneRules{Settings: 1, LeastSeconds: 1}); err == nil {
		t.Error("one setting is no search")
	}
	if _, err := NewTuneSearch(TuneSpace{Axes: []TuneAxis{{Values: 2, Start: 2}}}, nil, TuneRules{Settings: 4, LeastSeconds: 1}); err == nil {
		t.Error("a start beside its axis passes")
	}
}

func TestTuneSpaceDraw(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	space := TuneSpace{Axes: []TuneAxis{{Values: 4, Unlikely: []int{0}}, {Values: 5, Start: 2}},
		Valid: func(s []int) bool { return s[0]+s[1] != 3 }}
	first := [][]int{{0, 0}, {0, 3}} // the second is not valid
	got := space.Draw(12, first, [][]int{{2, 2}}, rng)
	if len(got) < 9 || !slices.Equal(got[0], first[0]) {
		t.Fatalf("%v", got)
	}
	count := map[int]int{}
	for i, s := range got {
		if !space.Valid(s) || slices.Equal(s, []int{2, 2}) || i > 0 && s[0] == 0 {
			t.Errorf("setting %v", s)
		}
		count[s[0]]++
	}
	for v := 1; v <= 3; v++ {
		if count[v] < 2 {
			t.Errorf("value %d came %d times in %v", v, count[v], got)
		}
	}
	if all := space.Draw(1000, nil, nil, rng); len(all) > 15-3 {
		t.Errorf("%d settings of at most 12", len(all))
	}
	n, ok := space.Neighbour([]int{3, 4}, [][]int{{2, 4}}, rng)
	if !ok || !slices.Equal(n, []int{3, 3}) {
		t.Errorf("neighbour %v, %v; want 3, 3", n, ok)
	}
	if _, ok := space.Neighbour([]int{3, 4}, [][]int{{2, 4}, {3, 3}}, rng); ok {
		t.Error("a neighbour where all are known")
	}
	models := TuneSpace{Axes: []TuneAxis{{Values: 3, Unlikely: []int{1, 2}, Unordered: true}}}
	if n, ok := models.Neighbour([]int{0}, [][]int{{1}}, rng); !ok || n[0] != 2 {
		t.Errorf("neighbour %v, %v of a value without order; want 2", n, ok)
	}
}
