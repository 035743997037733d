package judge

import (
	"errors"
	"math/rand/v2"
	"slices"
)

// TuneRules say how a search spends its processor time.
type TuneRules struct {
	// Settings is how many the first rung has at most; at least 2.
	Settings int
	// LeastSeconds is the processor time below which a rung gives no setting: a
	// few times what a run costs at the very least. The first rung has fewer
	// settings where there is not enough for all.
	LeastSeconds float64
	// Seed makes a search repeatable.
	Seed uint64
}

// TuneArm is a setting with what is known of it.
type TuneArm struct {
	Setting []int
	Runs    []TuneRun
	// Rung is the last rung that it was in, from 1.
	Rung int
	// Dropped says that its runs are invalid, or that it was taken out.
	Dropped bool

	spent  float64 // processor time in this rung
	flying int     // runs that have not ended
}

// Tally sums up the arm's runs.
func (a *TuneArm) Tally() TuneTally { return TallyTune(a.Runs) }

// TuneSearch looks for the setting with the highest rate of reproductions per
// CPU-second by successive halving (K. Jamieson, A. Talwalkar, "Non-stochastic
// best arm identification and hyperparameter optimization", AISTATS 2016): each
// rung gives its settings the same processor time, and the better half goes on
// into the next one, where each has twice as much. The time is what is shared
// out, not the runs: settings whose runs are short get more of them, and the
// number of reproductions is the score.
//
// A part of each later rung's places goes to neighbours of the best settings so
// far, which the first draw cannot be expected to have.
type TuneSearch struct {
	space TuneSpace
	rules TuneRules
	rng   *rand.Rand
	first [][]int
	arms  []*TuneArm

	sizes  []int // of this round's rungs; nil before its first
	step   int   // of the round's rungs, how many have begun
	rung   int   // that is under way, from 1, over all rounds
	active []int // arms in it
	target float64
}

// NewTuneSearch begins a search. first are settings that are tried whatever
// chance draws; the start is not tried, its rate is the caller's to measure.
func NewTuneSearch(space TuneSpace, first [][]int, rules TuneRules) (*TuneSearch, error) {
	if rules.Settings < 2 || rules.LeastSeconds <= 0 {
		return nil, errors.New("a search takes at least two settings, and time for them")
	}
	for _, a := range space.Axes {
		if a.Start < 0 || a.Start >= a.Values {
			return nil, errors.New("the start is not among the values of its axes")
		}
	}
	return &TuneSearch{space: space, rules: rules, first: first, rng: rand.New(rand.NewPCG(rules.Seed, 0x7475_6e65))}, nil
}

// Arms are all settings that were ever drawn, in that order.
func (s *TuneSearch) Arms() []*TuneArm { return s.arms }

// Active are the arms of the rung that is under way, and Rung its number.
func (s *TuneSearch) Active() []int { return slices.Clone(s.active) }

// Rung is the number of the rung that is under way, from 1; 0 before the first.
func (s *TuneSearch) Rung() int { return s.rung }

// Left is how many rungs are still to begin. Before the first it depends on
// seconds, the processor time for all rungs together.
func (s *TuneSearch) Left(seconds float64) int {
	if s.step == 0 {
		return len(s.plan(seconds))
	}
	return len(s.sizes) - s.step
}

// Again lets a search that has been through its rungs begin another round of
// them: with the best settings so far, and new ones.
func (s *TuneSearch) Again() { s.sizes, s.step = nil, 0 }

// plan is the number of settings in each rung: halves, down to the last two.
func (s *TuneSearch) plan(seconds float64) []int {
	var sizes []int
	// As many settings as leave the first of the rungs enough for each.
	for n := s.rules.Settings; n >= 2; n-- {
		if sizes = halves(n); seconds/float64(len(sizes)) >= float64(n)*s.rules.LeastSeconds {
			break
		}
	}
	return sizes
}

func halves(n int) []int {
	sizes := []int{n}
	for n > 3 {
		n = (n + 1) / 2
		sizes = append(sizes, n)
	}
	return sizes
}

// Begin starts the next rung. rung is the processor time for it and rest that
// for it and all rungs after it. It reports whether there is a rung to begin.
//
// Everything that chance decides is decided here. So a search that is told the
// same rungs again, and of each the same runs with Started and Observe, comes to
// where it was, and can go on from there.
func (s *TuneSearch) Begin(rung, rest float64) bool {
	switch {
	case s.step == 0:
		s.draw(rest)
	case s.step == len(s.sizes):
		s.active = nil
		return false
	default:
		s.halve()
	}
	s.step++
	s.rung++
	for _, i := range s.active {
		s.arms[i].Rung, s.arms[i].spent = s.rung, 0
	}
	s.target = rung / float64(max(1, len(s.active)))
	return len(s.active) > 0
}

// draw chooses the settings of a round's first rung. Up to a quarter of them are
// the best of earlier rounds.
func (s *TuneSearch) draw(rest float64) {
	s.sizes = s.plan(rest)
	size := s.sizes[0]
	best := s.Ranked()
	s.active = best[:min(size/4, len(best))]
	for _, setting := range s.space.Draw(size-len(s.active), s.first, s.known(), s.rng) {
		s.add(setting)
	}
}

// known are the settings that are not to be drawn.
func (s *TuneSearch) known() [][]int {
	known := [][]int{s.space.Start()}
	for _, a := range s.arms {
		known = append(known, a.Setting)
	}
	return known
}

func (s *TuneSearch) add(setting []int) {
	s.active = append(s.active, len(s.arms))
	s.arms = append(s.arms, &TuneArm{Setting: setting})
}

// halve chooses the settings of the next rung.
func (s *TuneSearch) halve() {
	size := s.sizes[s.step]
	isLast := s.step == len(s.sizes)-1
	ranked := s.ranked()
	reproducing := 0
	for _, i := range ranked {
		if s.arms[i].Tally().Reproduced > 0 {
			reproducing++
		}
	}
	keep := size
	if reproducing > 0 && !isLast {
		// What has shown nothing makes way for neighbours of what has.
		keep = max(size/2, min(reproducing, size-size/3))
	}
	s.active = slices.Clone(ranked[:min(keep, len(ranked))])
	if reproducing == 0 || isLast {
		return
	}
	known := s.known()
	for try := 0; len(s.active) < size && try < drawTries; try++ {
		leader := ranked[try%min(reproducing, size/2+1)]
		if setting, ok := s.space.Neighbour(s.arms[leader].Setting, known, s.rng); ok {
			known = append(known, setting)
			s.add(setting)
		}
	}
}

// ranked are the arms of the rung that are not dropped, best first.
func (s *TuneSearch) ranked() []int {
	tallies := map[int]TuneTally{}
	var out []int
	for _, i := range s.active {
		if !s.arms[i].Dropped {
			out = append(out, i)
			tallies[i] = s.arms[i].Tally()
		}
	}
	slices.SortStableFunc(out, func(a, b int) int { return better(tallies[a], tallies[b]) })
	return out
}

// overrun is by how much a run may exceed its setting's share of the rung before
// it is cut.
const overrun = 1.5

// Limit is the processor time, in seconds, after which a run of this rung is to
// be cut.
func (s *TuneSearch) Limit() float64 { return overrun * max(s.target, s.rules.LeastSeconds) }

// Next returns the arm that the next run is for: the one that has had the least
// of its time in this rung. ok is false when the rung needs no further run than
// those that are under way. It changes nothing; Started does.
func (s *TuneSearch) Next() (arm int, ok bool) {
	least := 0.0
	for _, i := range s.active {
		a := s.arms[i]
		cost := a.cost()
		if cost == 0 && a.flying > 0 {
			continue // the first run tells what one costs
		}
		used := a.spent + float64(a.flying)*cost
		begun := used > 0
		if a.Dropped || begun && used+cost/2 > s.target {
			continue
		}
		if !ok || used < least {
			arm, least, ok = i, used, true
		}
	}
	return arm, ok
}

// cost is what a run of the arm is expected to take; 0 is not known.
func (a *TuneArm) cost() float64 {
	t := a.Tally()
	if t.Runs > 0 {
		return t.CPUSeconds / float64(t.Runs)
	}
	return t.LongestCut
}

// Drop takes an arm that cannot be run out of the search.
func (s *TuneSearch) Drop(arm int) { s.arms[arm].Dropped = true }

// Started notes that a run of an arm is under way.
func (s *TuneSearch) Started(arm int) { s.arms[arm].flying++ }

// Observe takes in a run that has ended.
func (s *TuneSearch) Observe(arm int, r TuneRun) {
	a := s.arms[arm]
	a.flying--
	a.Runs = append(a.Runs, r)
	a.spent += r.CPU
	a.Dropped = a.Dropped || a.Tally().Broken()
}

// Ranked are all arms that reproduced and were not dropped, best first, by the
// lower ends of their rates.
func (s *TuneSearch) Ranked() []int {
	tallies := make([]TuneTally, len(s.arms))
	for i, a := range s.arms {
		if !a.Dropped {
			tallies[i] = a.Tally()
		}
	}
	return RankTune(tallies)
}
