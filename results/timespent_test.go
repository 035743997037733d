package results

import (
	"math"
	"testing"

	"patchproof/results/judge"
)

func TestTimeSpent(t *testing.T) {
	phase := func(name string, s float64) PhaseResult { return PhaseResult{Name: name, ElapsedSeconds: s} }
	booted := Run{Outcome: judge.Clean, ElapsedSeconds: 10, Timing: &Timing{Ready: 2, PowerOff: 1, Log: 0.5},
		Phases: []PhaseResult{phase("mkfs", 1), phase("write", 4)}}
	failed := Run{Outcome: judge.OtherFailure, ElapsedSeconds: 6, Phases: []PhaseResult{phase("mkfs", 1)}}
	stopped := Run{Outcome: judge.Invalid, Stopped: true, ElapsedSeconds: 100}
	forked := Run{Outcome: judge.Reproduced, ElapsedSeconds: 4, Forked: &ForkRecord{}, Timing: &Timing{Ready: 1},
		Phases: []PhaseResult{phase("write", 3)}}
	for name, c := range map[string]struct {
		runs []Run
		want []Spent
	}{
		"none":        {nil, nil},
		"not counted": {[]Run{stopped}, nil},
		"booted": {[]Run{booted, stopped}, []Spent{{PartBoot, 2, .2}, {"mkfs", 1, .1}, {"write", 4, .4},
			{PartPowerOff, 1, .1}, {PartLog, .5, .05}, {PartOther, 1.5, .15}}},
		"a failed run before a whole one": {[]Run{failed, booted}, []Spent{{PartBoot, 1, 2. / 16}, {"mkfs", 1, 2. / 16}, {"write", 2, 4. / 16},
			{PartPowerOff, .5, 1. / 16}, {PartLog, .25, .5 / 16}, {PartOther, 3.25, 6.5 / 16}}},
		"forked": {[]Run{forked}, []Spent{{PartFork, 1, .25}, {"write", 3, .75}, {PartPowerOff, 0, 0}, {PartLog, 0, 0}, {PartOther, 0, 0}}},
	} {
		t.Run(name, func(t *testing.T) {
			got := TimeSpent(c.runs)
			if len(got) != len(c.want) {
				t.Fatalf("got %v, want %v", got, c.want)
			}
			sum := 0.0
			for i, g := range got {
				w := c.want[i]
				if g.Part != w.Part || math.Abs(g.Seconds-w.Seconds) > 1e-9 || math.Abs(g.Share-w.Share) > 1e-9 {
					t.Errorf("part %d: got %+v, want %+v", i, g, w)
				}
				sum += g.Share
			}
			if len(got) > 0 && math.Abs(sum-1) > 1e-9 {
				t.Errorf("shares sum up to %v", sum)
			}
		})
	}
}
