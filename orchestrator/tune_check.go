package orchestrator

import (
	"context"
	"fmt"
	"slices"
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
// A check that was broken off goes on first.
func (t *tuning) checkBest(ctx context.Context, end time.Time) error {
	n := len(t.record.Tune.Checked)
	if n > 0 {
		if isTaken, err := t.checkOne(ctx, t.record.Tune.Checked[n-1], end); err != nil || isTaken {
			return err
		}
	}
	if t.extended {
		n = 0
	}
	for ; n < tuneCandidates; n++ {
		key := t.candidate()
		if key == "" || ctx.Err() != nil || n > 0 && t.now().After(end) {
			return nil
		}
		t.record.Tune.Checked = append(t.record.Tune.Checked, key)
		if err := t.update(); err != nil {
			return err
		}
		if isTaken, err := t.checkOne(ctx, key, end); err != nil || isTaken {
			return err
		}
	}
	return nil
}

// checkOne looks at a setting closely and says whether it can be taken.
func (t *tuning) checkOne(ctx context.Context, key string, end time.Time) (isTaken bool, err error) {
	if _, isOut := t.record.Tune.LeftOut[key]; isOut {
		return false, nil
	}
	t.h.note("checking " + key)
	tr, err := t.trialOf(ctx, key)
	if err == nil {
		err = t.check(ctx, tr)
	}
	if err != nil {
		if ctx.Err() == nil {
			t.leaveOut(key, 0, err)
		}
		return false, nil
	}
	// The first one has most of the time: it is taken if nothing is wrong.
	q := &checkQueue{t: t, trial: tr, end: t.now().Add(end.Sub(t.now()) * 2 / 3)}
	t.retell(q, func(r *results.Run) (tuneTask, bool) {
		return tuneTask{trial: tr, stage: r.Stage}, r.Setting == key && (r.Stage == results.StageConfirm || r.Stage == results.StagePost)
	})
	if err := t.work(ctx, q); err != nil {
		return false, err
	}
	result := t.result()
	return result.Best > 0 && result.Rows[result.Best].Confirmed() && results.Enough(result.Gain, t.minGain), nil
}

// candidate is the key of the best setting that has not been looked at closely
// and can still be good enough; empty when there is none.
func (t *tuning) candidate() string {
	result := t.result()
	start := result.Start().Search
	tallies := make([]judge.TuneTally, len(result.Rows))
	for i := range result.Rows[1:] {
		row := &result.Rows[i+1]
		if _, isOut := t.record.Tune.LeftOut[row.Key]; row.Refused == "" && !isOut && !slices.Contains(t.record.Tune.Checked, row.Key) {
			tallies[i+1] = row.Search
		}
	}
	for _, i := range judge.RankTune(tallies) {
		if g, ok := tallies[i].Gain(start); ok && (g.Ratio == 0 || g.High >= t.minGain) {
			return result.Rows[i].Key
		}
	}
	return ""
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
		min(q.pre, q.post) >= tuneCheckRuns, !least && q.t.now().After(q.end):
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
