package judge

import "math"

// Share is a number of runs and how many of them showed an event.
type Share struct {
	Events int `json:"events"`
	Runs   int `json:"runs"`
}

// Block is what two kinds of runs showed that were done in turn, in the same
// stretch of time: what changes on the host from block to block meets both.
type Block struct {
	First, Second Share
}

// CompareBlocks returns the p-values of two exact tests of "in every block, both
// kinds show the event equally often", given how many events each block has:
//
//   - differ, two-sided, finds that one kind shows it more often: how far the
//     first kind's events lie from what is expected of them. With one block it is
//     close to Fisher's test; with several, an exact form of the test of Mantel and
//     Haenszel (1959).
//   - vary finds that the kinds differ in one direction here and in another there:
//     the sum of the squared differences of their shares.
//
// Large values prove nothing: few runs tell little. Blocks in which one kind has
// no runs say nothing, and impossible ones make both 1.
func CompareBlocks(blocks []Block) (differ, vary float64) {
	sums, squares := chances{0: 1}, chances{0: 1}
	var sum, square int64
	for _, b := range blocks {
		k := b.First.Events
		if least, most := b.limits(); k < least || k > most || b.Second.Events < 0 {
			return 1, 1
		}
		if b.First.Runs == 0 || b.Second.Runs == 0 {
			continue
		}
		sum, square = sum+b.excess(k), square+b.square(k)
		sums, squares = sums.plus(b, b.excess), squares.plus(b, b.square)
	}
	for s, chance := range sums {
		if max(s, -s) >= max(sum, -sum) {
			differ += chance
		}
	}
	for s, chance := range squares {
		if s >= square {
			vary += chance
		}
	}
	return min(1, differ), min(1, vary)
}

// limits are the least and most events that the first kind can have in a block,
// given the events of both.
func (b Block) limits() (least, most int) {
	events := b.First.Events + b.Second.Events
	return max(0, events-b.Second.Runs), min(events, b.First.Runs)
}

// unit is what the statistics are counted in: so small a part that rounding does
// no harm, and whole numbers, so that sums that are equal on paper are equal.
const unit = 1e9

// excess is by how much k events of the first kind are more than expected.
func (b Block) excess(k int) int64 {
	events, runs := float64(b.First.Events+b.Second.Events), float64(b.First.Runs+b.Second.Runs)
	return int64(math.Round(unit * (float64(k) - events*float64(b.First.Runs)/runs)))
}

// square is the squared difference of the shares if the first kind has k events.
func (b Block) square(k int) int64 {
	other := b.First.Events + b.Second.Events - k
	d := float64(k)/float64(b.First.Runs) - float64(other)/float64(b.Second.Runs)
	return int64(math.Round(unit * d * d))
}

// chances is the distribution of a sum over blocks.
type chances map[int64]float64

// plus adds a block, whose events fall on the runs like balls drawn from an urn.
func (c chances) plus(b Block, statistic func(k int) int64) chances {
	least, most := b.limits()
	total := logChoose(b.First.Runs+b.Second.Runs, b.First.Events+b.Second.Events)
	out := chances{}
	for k := least; k <= most; k++ {
		chance := math.Exp(logChoose(b.First.Runs, k) + logChoose(b.Second.Runs, b.First.Events+b.Second.Events-k) - total)
		for s, before := range c {
			out[s+statistic(k)] += before * chance
		}
	}
	return out
}
