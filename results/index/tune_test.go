package index

import (
	"testing"

	"patchproof/results"
)

// TestTuneInIndex: a tuning's answer is its own, and not that some of its runs
// reproduced.
func TestTuneInIndex(t *testing.T) {
	dir := t.TempDir()
	store, err := results.OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	c := &results.Campaign{Kind: results.KindTune, Workload: "race", ElapsedSeconds: 100,
		Tune: &results.TuneRecord{Plan: "race", Settings: []results.TuneSetting{{Key: results.TuneStart}}, Answer: results.LittleToGain}}
	w, err := store.Create(c)
	if err != nil {
		t.Fatal(err)
	}
	r := run('r')
	r.Side, r.Setting, r.Stage = results.Single, results.TuneStart, results.StageStart
	rw, err := w.StartRun(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rw.Finish(true, ""); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	x := openIndex(t, dir)
	list, err := x.Campaigns(t.Context(), Filter{Kind: results.KindTune, Verdict: string(results.LittleToGain)})
	if err != nil || len(list) != 1 || list[0].Counts.Reproduced != 1 || list[0].State != StateEnded {
		t.Errorf("%+v, %v", list, err)
	}
}
