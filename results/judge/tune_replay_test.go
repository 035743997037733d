package judge

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

// tuneStep is what a search was told: of a rung, or of a run.
type tuneStep struct {
	rung, rest float64 // of Begin, when rung is above 0
	again      bool    // before it
	arm        int
	run        TuneRun
}

// recordedSearch carries a search out from where it stands, one run at a time,
// until it has been through so many rounds, and returns what it was told.
func recordedSearch(s *TuneSearch, m raceModel, told []tuneStep, rounds int, seconds float64) []tuneStep {
	round := 1
	for _, step := range told {
		if step.again {
			round++
		}
	}
	for {
		for arm, ok := s.Next(); ok; arm, ok = s.Next() {
			s.Started(arm)
			// What a run shows depends on the setting and on its number there
			// alone, whenever it is done.
			a := s.Arms()[arm]
			p, cost := m.of(a.Setting)
			rng := rand.New(rand.NewPCG(uint64(arm), uint64(len(a.Runs))))
			run := TuneRun{Outcome: Clean, CPU: cost * (0.9 + 0.2*rng.Float64())}
			if limit := s.Limit(); run.CPU > limit {
				run = TuneRun{Outcome: Invalid, Cut: true, CPU: limit}
			} else if rng.Float64() < p {
				run.Outcome = Reproduced
			}
			s.Observe(arm, run)
			told = append(told, tuneStep{arm: arm, run: run})
		}
		again := s.Rung() > 0 && s.Left(seconds) == 0
		if again {
			if round == rounds {
				return told
			}
			round++
			s.Again()
		}
		step := tuneStep{rung: seconds / 4, rest: seconds, again: again}
		if !s.Begin(step.rung, step.rest) {
			return told
		}
		told = append(told, step)
	}
}

// TestTuneSearchReplay: a search that was broken off after any run, and is told
// all that it had been told, goes on as if nothing had happened.
func TestTuneSearchReplay(t *testing.T) {
	m := newRaceModel()
	fresh := func() *TuneSearch {
		s, err := NewTuneSearch(m.space(), [][]int{{3, 3, 1, 0, 1}}, TuneRules{Settings: 16, LeastSeconds: 8, Seed: 5})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	whole := fresh()
	want := recordedSearch(whole, m, nil, 2, 600)
	if whole.Rung() < 6 || len(want) < 50 {
		t.Fatalf("%d rungs and %d steps are no test", whole.Rung(), len(want))
	}
	for n := range want {
		s := fresh()
		for _, step := range want[:n] {
			switch {
			case step.rung > 0:
				if step.again {
					s.Again()
				}
				s.Begin(step.rung, step.rest)
			default:
				s.Started(step.arm)
				s.Observe(step.arm, step.run)
			}
		}
		if got := recordedSearch(s, m, slices.Clone(want[:n]), 2, 600); !reflect.DeepEqual(got, want) || !slices.Equal(s.Ranked(), whole.Ranked()) {
			t.Fatalf("broken off after %d of %d steps, the search ends with %v after %d, not with %v", n, len(want), s.Ranked(), len(got), whole.Ranked())
		}
	}
}

// TestTuneSearchAgain: another round takes the best along and draws nothing twice.
func TestTuneSearchAgain(t *testing.T) {
	m := newRaceModel()
	s, err := NewTuneSearch(m.space(), nil, TuneRules{Settings: 16, LeastSeconds: 8, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	recordedSearch(s, m, nil, 1, 600)
	rung, best, arms := s.Rung(), s.Ranked(), len(s.Arms())
	if len(best) == 0 || s.Left(600) != 0 {
		t.Fatalf("%d settings reproduced, %d rungs left", len(best), s.Left(600))
	}
	s.Again()
	if s.Left(600) != rung || !s.Begin(150, 600) || s.Rung() != rung+1 {
		t.Errorf("rung %d of another round with %d", s.Rung(), s.Left(600))
	}
	active := s.Active()
	kept := slices.DeleteFunc(slices.Clone(active), func(i int) bool { return i >= arms })
	if len(active) != 16 || !slices.Equal(kept, best[:min(4, len(best))]) {
		t.Errorf("settings %v of another round, of which %v are not new; the best are %v", active, kept, best)
	}
	for i, a := range s.Arms() {
		if slices.ContainsFunc(s.Arms()[:i], func(b *TuneArm) bool { return slices.Equal(a.Setting, b.Setting) }) {
			t.Errorf("setting %v was drawn twice", a.Setting)
		}
	}
}
