package judge

import "math"

// rateGrid is the distribution of two chances, on a grid of pairs: that a run at
// a commit with the bug shows it, and that a run anywhere shows something that
// looks like it.
type rateGrid struct {
	p     []float64 // chance of the bug
	prior []float64 // of the pair, sums to 1
	// shows and looks are the chances that a run at a commit with the bug, and
	// one without, shows the signature.
	shows, looks []float64
	// Logarithms of what a run may show: with the bug bad or clean, and without.
	logShows, logHides, logLooks, logClean []float64
}

// Prior of an unknown rate: a share of bugs shows in every run; the others have
// Beta(rateShape, 1), which expects low rates.
const (
	alwaysShare = 0.1
	rateShape   = 0.5
	rateLow     = 0.01
	ratePoints  = 21
	always      = 0.9999
	// almostSure stands for a known rate of 1, which would make a single clean
	// run a proof, and a mistake final.
	almostSure = 1 - 1e-6
)

// manyLooks is the prior of the false rate being MaxFalseRate and not the one
// the rules name: look-alikes are rare, but a range that has one shows it often.
const manyLooks = 0.05

// newRateGrid returns the grid for the rules.
func newRateGrid(r BisectRules) *rateGrid {
	rates, weights := []float64{min(r.KnownRate, almostSure)}, []float64{1}
	if r.KnownRate == 0 {
		rates, weights = unknownRate()
	}
	g := &rateGrid{}
	for i, p := range rates {
		g.add(p, r.FalseRate, weights[i]*(1-manyLooks))
		g.add(p, MaxFalseRate, weights[i]*manyLooks)
	}
	return g
}

// unknownRate returns points at equal distances in log odds, where a run moves
// the posterior about equally far anywhere, and their prior.
func unknownRate() (rates, weights []float64) {
	low, high := logit(rateLow), logit(1-rateLow)
	at := func(i float64) float64 {
		return 1 / (1 + math.Exp(-(low + (high-low)*i/(ratePoints-1))))
	}
	sum := 0.0
	for i := range ratePoints {
		x := float64(i)
		weight := math.Pow(at(x+0.5), rateShape) - math.Pow(at(x-0.5), rateShape)
		rates, weights = append(rates, at(x)), append(weights, weight)
		sum += weight
	}
	for i := range weights {
		weights[i] *= (1 - alwaysShare) / sum
	}
	return append(rates, always), append(weights, alwaysShare)
}

func logit(p float64) float64 { return math.Log(p / (1 - p)) }

func (g *rateGrid) add(p, looks, prior float64) {
	shows := p + (1-p)*looks
	g.p = append(g.p, p)
	g.prior = append(g.prior, prior)
	g.shows = append(g.shows, shows)
	g.looks = append(g.looks, looks)
	g.logShows = append(g.logShows, math.Log(shows))
	g.logHides = append(g.logHides, math.Log1p(-shows))
	g.logLooks = append(g.logLooks, math.Log(looks))
	g.logClean = append(g.logClean, math.Log1p(-looks))
}

// likelihood returns, for each pair, the log of the chance that a run at a commit
// with the bug or without it is bad or clean.
func (g *rateGrid) likelihood(affected, bad bool) []float64 {
	switch {
	case affected && bad:
		return g.logShows
	case affected:
		return g.logHides
	case bad:
		return g.logLooks
	default:
		return g.logClean
	}
}

// summary returns the mean of the rate and its central interval under weights of
// the pairs that sum to 1.
func (g *rateGrid) summary(weight []float64, level float64) (mean float64, iv Interval) {
	iv = Interval{Low: g.p[0], High: g.p[len(g.p)-1], Level: level}
	tail, sum := (1-level)/2, 0.0
	for j, p := range g.p {
		mean += weight[j] * p
		if sum <= tail {
			iv.Low = p
		}
		if sum < 1-tail {
			iv.High = p
		}
		sum += weight[j]
	}
	return mean, iv
}
