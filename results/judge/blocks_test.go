package judge

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestCompareBlocks(t *testing.T) {
	block := func(k1, n1, k2, n2 int) Block { return Block{Share{k1, n1}, Share{k2, n2}} }
	for _, tt := range []struct {
		name         string
		blocks       []Block
		differ, vary float64
	}{
		{"nothing", nil, 1, 1},
		{"impossible", []Block{block(3, 2, 0, 2)}, 1, 1},
		{"less than none", []Block{block(1, 2, -1, 2)}, 1, 1},
		{"one kind has no runs", []Block{block(3, 5, 0, 0)}, 1, 1},
		{"no events", []Block{block(0, 5, 0, 5)}, 1, 1},
		// 2 of the C(4,2) = 6 ways have both events on one side.
		{"one block", []Block{block(2, 2, 0, 2)}, 2.0 / 6, 2.0 / 6},
		// Either way it is (1/6)^2 that both blocks fall to the first kind, and as
		// much for the second; four times (1/6)^2 that they lie as far apart.
		{"two alike", []Block{block(2, 2, 0, 2), block(2, 2, 0, 2)}, 2.0 / 36, 4.0 / 36},
		{"two that contradict each other", []Block{block(2, 2, 0, 2), block(0, 2, 2, 2)}, 1, 4.0 / 36},
		{"a block that says nothing", []Block{block(2, 2, 0, 2), block(1, 1, 0, 0)}, 2.0 / 6, 2.0 / 6},
		{"different sizes", []Block{block(1, 1, 0, 4)}, 1.0 / 5, 1.0 / 5},
	} {
		differ, vary := CompareBlocks(tt.blocks)
		if math.Abs(differ-tt.differ) > 1e-9 || math.Abs(vary-tt.vary) > 1e-9 {
			t.Errorf("%s: %v and %v, want %v and %v", tt.name, differ, vary, tt.differ, tt.vary)
		}
	}
}

// TestCompareBlocksFisher: one block of equal sizes is Fisher's test.
func TestCompareBlocksFisher(t *testing.T) {
	for k := range 21 {
		want, _ := FisherExact(k, 20, 7, 20)
		differ, vary := CompareBlocks([]Block{{Share{k, 20}, Share{7, 20}}})
		if math.Abs(differ-want) > 1e-9 || math.Abs(vary-want) > 1e-9 {
			t.Errorf("%d of 20 against 7 of 20: %v and %v, want %v", k, differ, vary, want)
		}
	}
}

// TestCompareBlocksLevel: a host that changes from block to block makes neither
// test say that the kinds differ, and kinds that do differ are found.
func TestCompareBlocksLevel(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	events := func(n int, rate float64) (k int) {
		for range n {
			if random.Float64() < rate {
				k++
			}
		}
		return k
	}
	below := func(first, second func(block int) float64) (differ, vary int) {
		for range 1000 {
			blocks := make([]Block, 12)
			for i := range blocks {
				blocks[i] = Block{Share{events(5, first(i)), 5}, Share{events(5, second(i)), 5}}
			}
			d, v := CompareBlocks(blocks)
			if d < 0.05 {
				differ++
			}
			if v < 0.05 {
				vary++
			}
		}
		return differ, vary
	}
	drift := func(i int) float64 { return 0.8 - 0.06*float64(i) }
	if d, v := below(drift, drift); d > 70 || v > 70 {
		t.Errorf("kinds that are alike on a host that changes: %d and %d of 1000 below 0.05", d, v)
	}
	if d, _ := below(func(int) float64 { return 0.6 }, func(int) float64 { return 0.3 }); d < 800 {
		t.Errorf("twice the rate: found in %d of 1000", d)
	}
	if _, v := below(func(i int) float64 { return []float64{0.1, 0.7}[i%2] }, func(int) float64 { return 0.4 }); v < 450 {
		t.Errorf("rates that change with the block: found in %d of 1000", v)
	}
}
