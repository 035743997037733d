package judge

import (
	"math/rand/v2"
	"slices"
)

// TuneAxis is one knob: the values that it can have, in their order, by index.
type TuneAxis struct {
	// Values is how many there are.
	Values int
	// Start is the one that the start has.
	Start int
	// Unlikely are values that are never drawn by chance; what the caller asks
	// for and neighbours may have them.
	Unlikely []int
	// Unordered says that no value is nearer to one than another: all are
	// neighbours.
	Unordered bool
}

// TuneSpace is all settings: a value of each axis.
type TuneSpace struct {
	Axes []TuneAxis
	// Valid says whether a setting can be tried at all; nil means that all can.
	Valid func(setting []int) bool
}

// Start is the setting that is to be made better.
func (s *TuneSpace) Start() []int {
	start := make([]int, len(s.Axes))
	for i, a := range s.Axes {
		start[i] = a.Start
	}
	return start
}

// drawTries bounds how often a setting that cannot be taken is drawn again.
const drawTries = 100

// Draw returns up to n settings that are not among known: those of first, then
// ones by chance. Of these, each axis has each of its values about equally often
// (a Latin hypercube sample), as far as Valid allows.
func (s *TuneSpace) Draw(n int, first, known [][]int, rng *rand.Rand) [][]int {
	var out [][]int
	take := func(setting []int) bool {
		if len(out) == n || !s.isNew(setting, known) || !s.isNew(setting, out) {
			return false
		}
		out = append(out, slices.Clone(setting))
		return true
	}
	for _, setting := range first {
		take(setting)
	}
	left := n - len(out)
	columns := make([][]int, len(s.Axes))
	for i, a := range s.Axes {
		columns[i] = a.spread(left, rng)
	}
	for row := range left {
		setting := make([]int, len(s.Axes))
		for i := range setting {
			setting[i] = columns[i][row]
		}
		for range drawTries {
			if take(setting) {
				break
			}
			for i, a := range s.Axes {
				setting[i] = a.any(rng)
			}
		}
	}
	return out
}

// Neighbour returns a setting that differs from the given one in one axis, by a
// step where that has an order, and that is not among known.
func (s *TuneSpace) Neighbour(setting []int, known [][]int, rng *rand.Rand) ([]int, bool) {
	var all [][]int
	for i, a := range s.Axes {
		for v := range a.Values {
			isStep := v == setting[i]-1 || v == setting[i]+1
			next := slices.Clone(setting)
			next[i] = v
			if v != setting[i] && (isStep || a.Unordered) && s.isNew(next, known) {
				all = append(all, next)
			}
		}
	}
	if len(all) == 0 {
		return nil, false
	}
	return all[rng.IntN(len(all))], true
}

// isNew says that a setting can be tried and has not been.
func (s *TuneSpace) isNew(setting []int, known [][]int) bool {
	if slices.ContainsFunc(known, func(k []int) bool { return slices.Equal(k, setting) }) {
		return false
	}
	return s.Valid == nil || s.Valid(setting)
}

// drawn are the values that chance may choose.
func (a TuneAxis) drawn() []int {
	var out []int
	for v := range a.Values {
		if !slices.Contains(a.Unlikely, v) {
			out = append(out, v)
		}
	}
	if len(out) == 0 {
		return []int{a.Start}
	}
	return out
}

func (a TuneAxis) any(rng *rand.Rand) int {
	values := a.drawn()
	return values[rng.IntN(len(values))]
}

// spread is n values in which each comes about equally often, in an order by
// chance.
func (a TuneAxis) spread(n int, rng *rand.Rand) []int {
	values := a.drawn()
	rng.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
	out := make([]int, n)
	for i := range out {
		out[i] = values[i%len(values)]
	}
	rng.Shuffle(n, func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}
