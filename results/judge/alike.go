package judge

import "math"

// Share is a number of runs and how many of them showed an event.
type Share struct {
	Events int `json:"events"`
	Runs   int `json:"runs"`
}

// Alike returns the p-value of an exact test of "the event is equally frequent in
// all groups": the chance, given the sizes of the groups and the number of events,
// of shares that lie at least as far apart as these, by Pearson's chi-squared. A
// large value is no proof that the groups are alike: few groups, or small ones,
// tell little. Groups without runs say nothing, and impossible ones make it 1.
func Alike(groups []Share) float64 {
	runs, events := 0, 0
	for _, g := range groups {
		if g.Events < 0 || g.Events > g.Runs {
			return 1
		}
		runs, events = runs+g.Runs, events+g.Events
	}
	if runs == 0 {
		return 1
	}
	seen := int64(0)
	for _, g := range groups {
		seen += spread(g.Events, g.Runs)
	}
	p := 0.0
	for far, chance := range spreads(groups, runs, events) {
		if far >= seen {
			p += chance
		}
	}
	return min(1, p)
}

// spread is a group's part in chi-squared, but for terms that are the same for
// all outcomes, in units so small that sums that are equal on paper are equal.
func spread(events, runs int) int64 {
	if runs == 0 {
		return 0
	}
	return int64(math.Round(float64(events) * float64(events) / float64(runs) * 1e9))
}

// spreads returns how far apart the groups' shares may lie, with the chance of
// each: the events fall on the runs like balls drawn from an urn. It goes from
// group to group and keeps, for every number of events so far, the chances of
// what the groups so far add up to.
func spreads(groups []Share, runs, events int) map[int64]float64 {
	total := logChoose(runs, events)
	sums := []map[int64]float64{{0: 1}}
	for _, g := range groups {
		next := make([]map[int64]float64, min(events, len(sums)-1+g.Runs)+1)
		for used, ways := range sums {
			for k := 0; k <= g.Runs && used+k <= events; k++ {
				if next[used+k] == nil {
					next[used+k] = map[int64]float64{}
				}
				// The share of the total that falls to this group keeps all
				// numbers far from overflow.
				weight := math.Exp(logChoose(g.Runs, k) - total*float64(g.Runs)/float64(runs))
				for far, n := range ways {
					next[used+k][far+spread(k, g.Runs)] += n * weight
				}
			}
		}
		sums = next
	}
	return sums[events]
}
