package judge

// need estimates the runs that each side still needs until fixed or regressed,
// if both kernels go on as they did. While nothing has failed there is no rate
// to go by, and it is what is left of the limit.
func (a *assessment) need() map[Side]int {
	pairs, ok := 0, false
	if a.fixable && a.fix.Events > 0 && len(a.unsettled) == 0 {
		pairs, ok = pairsNeeded(a.fix.Events, a.fix.Pairs, a.rules.alpha())
		pairs -= a.fix.Pairs
	} else if w := a.worse.pairs; w.Events > 0 {
		pairs, ok = pairsNeeded(w.Events, w.Pairs, a.rules.alpha()/a.worse.factor)
		pairs -= w.Pairs
	}
	out := map[Side]int{}
	for _, s := range []Side{Pre, Post} {
		left := max(0, a.rules.MaxRuns-a.side(s).Runs())
		if !ok {
			out[s] = left
			continue
		}
		// A side that is ahead has already done some of the pairs.
		ahead := a.side(s).Valid() - min(a.Pre.Valid(), a.Post.Valid())
		out[s] = max(0, pairs-ahead)
	}
	return out
}
