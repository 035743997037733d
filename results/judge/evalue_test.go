package judge

import (
	"math"
	"testing"
)

// TestPairIsFair checks the inequality that everything rests on: for each guess
// the expected factor of a pair is at most 1 when the clean side fails at least
// as often as the failing side.
func TestPairIsFair(t *testing.T) {
	table := guessTable()
	for _, g := range table {
		for p := 0.0; p <= 1; p += 0.01 {
			for q := p; q <= 1; q += 0.05 {
				mean := (1 - q) * (p*math.Exp(g.event) + (1-p)*math.Exp(g.none))
				if mean > 1+1e-12 {
					t.Fatalf("rates %g and %g: the bet wins %g on average", p, q, mean)
				}
			}
		}
	}
	// The bet is worth something: with rates 1 and 0 it grows fourfold a pair.
	if last := table[guesses-1]; math.Exp(last.event) < 3.9 {
		t.Errorf("a sure difference is worth %g a pair", math.Exp(last.event))
	}
}

func TestPairsNeeded(t *testing.T) {
	alpha := Rules{Confidence: 0.99}.alpha()
	for _, tt := range []struct{ events, pairs, least, most int }{
		{4, 4, 5, 6}, {1, 1, 5, 9}, {3, 6, 10, 20}, {1, 20, 60, 300},
	} {
		n, ok := pairsNeeded(tt.events, tt.pairs, alpha)
		if !ok || n < tt.least || n > tt.most {
			t.Errorf("%d of %d: %d pairs in all (%v), want %d to %d", tt.events, tt.pairs, n, ok, tt.least, tt.most)
		}
	}
	if n, ok := pairsNeeded(0, 60000, alpha); ok {
		t.Errorf("a rate next to nothing: %d pairs", n)
	}
}

// TestSequenceOf: counts without an order must never be worth more than any
// order that agrees with them.
func TestSequenceOf(t *testing.T) {
	orders := [][]bool{{true, true, false, false, true}, {false, false, true, true, true}, {true, true, true, false, false}}
	clean := make([]bool, 4)
	s := sequenceOf(Sequence{}, 3, 5, 0, 4)
	blind := contrastOf(s.Pre, s.Post)
	for _, o := range orders {
		if c := contrastOf(o, clean); c.Bound > 1 || c.Bound < 0 || blind.Bound < c.Bound-1e-12 {
			t.Errorf("order %v: bound %g, without order %g", o, c.Bound, blind.Bound)
		}
	}
}
