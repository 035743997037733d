package judge

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestAlike(t *testing.T) {
	for _, tt := range []struct {
		name   string
		groups []Share
		want   float64
	}{
		{"nothing", nil, 1},
		{"no runs", []Share{{0, 0}, {0, 0}}, 1},
		{"impossible", []Share{{3, 2}, {0, 2}}, 1},
		{"one group", []Share{{3, 5}}, 1},
		{"no events", []Share{{0, 5}, {0, 5}}, 1},
		{"all events", []Share{{5, 5}, {3, 3}}, 1},
		{"equal shares", []Share{{1, 2}, {2, 4}}, 1},
		// 2 of the C(4,2) = 6 ways have both events in one group.
		{"two pairs", []Share{{2, 2}, {0, 2}}, 2.0 / 6},
		// 3 of the C(6,2) = 15 ways have both events in one group.
		{"three pairs", []Share{{0, 2}, {2, 2}, {0, 2}}, 3.0 / 15},
		{"an empty group says nothing", []Share{{2, 2}, {0, 0}, {0, 2}}, 2.0 / 6},
		// Of the C(5,1) = 5 ways one has the event in the small group: 1 of 1
		// against 0 of 4 lies further apart than 0 of 1 against 1 of 4.
		{"different sizes", []Share{{1, 1}, {0, 4}}, 1.0 / 5},
	} {
		if got := Alike(tt.groups); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestAlikeTwoGroups: with two groups of one size the tables at least as far apart
// are those at most as probable, which is Fisher's test.
func TestAlikeTwoGroups(t *testing.T) {
	for k := range 21 {
		want, _ := FisherExact(k, 20, 7, 20)
		if got := Alike([]Share{{k, 20}, {7, 20}}); math.Abs(got-want) > 1e-9 {
			t.Errorf("%d of 20 against 7 of 20: %v, want %v", k, got, want)
		}
	}
}

// TestAlikeLevel: among groups that are alike, p is below 0.05 in at most that
// share of cases, and among groups that are not, mostly.
func TestAlikeLevel(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	below := func(rate func(group int) float64) (n int) {
		for range 1000 {
			groups := make([]Share, 12)
			for i := range groups {
				groups[i].Runs = 5
				for range 5 {
					if random.Float64() < rate(i) {
						groups[i].Events++
					}
				}
			}
			if Alike(groups) < 0.05 {
				n++
			}
		}
		return n
	}
	if n := below(func(int) float64 { return 0.4 }); n > 70 {
		t.Errorf("groups that are alike: %d of 1000 below 0.05", n)
	}
	if n := below(func(i int) float64 { return []float64{0.1, 0.7}[i%2] }); n < 800 {
		t.Errorf("groups that are not alike: %d of 1000 below 0.05", n)
	}
}
