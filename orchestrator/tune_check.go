package orchestrator

import (
	"context"
	"fmt"
	"time"

	"patchproof/results"
	"patchproof/results/judge"
)

const (
	// tuneCandidates is how many of the best settings are looked at closely, one
	// after another, until one can be taken.
	tuneCandidates = 4
	// tuneCheckRuns is how many runs of each kernel are enough for that.
	tuneCheckRuns = 20
	// hopelessRuns of the pre kernel without a reproduction end a check.
	hopelessRuns = 6
)

// checkBest runs the best settings anew, on both kernels in turn, until one can
// be taken. Runs begin until end; the least that is needed is done in any case.
func (t *tuning) checkBest(ctx context.Context, end time.Time) error {
	for n := range tuneCandidates {
		tr := t.candidate()
		if tr == nil || ctx.Err() != nil || n > 0 && time.Now().After(end) {
			return nil
		}
		t.h.note("checking " + tr.key)
		if err := t.check(ctx, tr); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			t.leaveOut(tr.key, err)
			continue
		}
		// The first one has most of the time: it is taken if nothing is wrong.
		q := &checkQueue{t: t, trial: tr, end: time.Now().Add(time.Until(end) * 2 / 3)}
		if err := t.work(ctx, q); err != nil {
			return err
		}
		result := t.result()
		if result.Best > 0 && result.Rows[result.Best].Confirmed() && results.Enough(result.Gain, t.minGain) {
			return nil
		}
	}
	return nil
}

// candidate is the best setting that has not been looked at closely and can still
// be good enough; nil when there is none.
func (t *tuning) candidate() *trial {
	result := t.result()
	start := result.Start().Search
	tallies := make([]judge.TuneTally, len(result.Rows))
	for i := range result.Rows[1:] {
		row := &result.Rows[i+1]
		if row.Refused == "" && !t.leftOut[row.Key] && row.Confirm == (judge.TuneTally{}) && row.Post.Runs() == 0 {
			tallies[i+1] = row.Search
		}
	}
	for _, i := range judge.RankTune(tallies) {
		if g, ok := tallies[i].Gain(start); ok && (g.Ratio == 0 || g.High >= t.minGain) {
			return t.trials[result.Rows[i].Key]
		}
	}
	return nil
}

// checkQueue runs a setting on both kernels in turn.
type checkQueue struct {
	t          *tuning
	trial      *trial
	end        time.Time
	pre, post  int // begun
	reproduced int // of pre
	showed     int // of pre
	clean      int // of post
	invalid    int
	refused    bool // the post kernel is not clean
}

func (q *checkQueue) next() (tuneTask, bool) {
	least := min(q.pre, q.post) < results.LeastPostRuns || q.clean < results.LeastPostRuns && q.invalid < results.LeastPostRuns
	switch {
	case q.refused, q.showed >= hopelessRuns && q.reproduced == 0, max(q.pre, q.post) > tuneCheckRuns,
		min(q.pre, q.post) >= tuneCheckRuns, !least && time.Now().After(q.end):
		return tuneTask{}, false
	}
	task := tuneTask{trial: q.trial, stage: results.StageConfirm}
	if q.post < q.pre {
		task.stage = results.StagePost
	}
	return task, true
}

func (q *checkQueue) begun(k tuneTask) {
	if k.stage == results.StagePost {
		q.post++
	} else {
		q.pre++
	}
}

func (q *checkQueue) ended(k tuneTask, r results.Run) {
	switch {
	case r.Outcome == judge.Invalid:
		q.invalid++
	case k.stage == results.StageConfirm:
		q.showed++
		if r.Outcome == judge.Reproduced {
			q.reproduced++
		}
	case r.Outcome == judge.Clean:
		q.clean++
	default:
		q.refused = true
		q.t.h.note(fmt.Sprintf("%s is not taken: the post kernel is not clean (%s: %s)", k.trial.key, r.ID, r.Outcome))
	}
}
