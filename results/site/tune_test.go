package site

import (
	"strings"
	"testing"

	"patchproof/results"
	"patchproof/results/site/sitetest"
)

// TestTunePage: the settings of a tuning with their rates, the answer, and no
// command for a single run, whose setting is not in the campaign's plan.
func TestTunePage(t *testing.T) {
	s := sitetest.New(t)
	store, err := results.OpenStore(s.Dir())
	if err != nil {
		t.Fatal(err)
	}
	c := &results.Campaign{Kind: results.KindTune, Workload: "race", Command: []string{"patchproof", "tune"}, ElapsedSeconds: 900,
		Plan: []byte("guest: {vcpus: 1}\nworkload: {phases: [{sync: }]}\n"),
		Tune: &results.TuneRecord{Plan: "race", MinGain: 5, PlanFile: "<race>-tuned.yaml", Settings: []results.TuneSetting{
			{Key: results.TuneStart}, {Key: "threads=64", Rung: 2}}}}
	w, err := store.Create(c)
	if err != nil {
		t.Fatal(err)
	}
	run := func(setting string, stage results.TuneStage, shape, what string) {
		r := sitetest.CellRun(&results.CellRecord{}, c.Started, what)
		r.Run = results.Run{Side: results.Single, Setting: setting, Stage: stage, Shape: shape, Started: c.Started}
		rw := s.Start(w, r)
		if err := rw.CPU(results.CPUTime{Total: 10, Ready: 2}); err != nil {
			t.Fatal(err)
		}
		s.End(rw, r)
	}
	for range 30 {
		run(results.TuneStart, results.StageStart, "4 vCPUs", "clean")
	}
	run("threads=64", results.StageSearch, "1 vCPU", "bug")
	for range 5 {
		run("threads=64", results.StageConfirm, "1 vCPU", "bug")
		run("threads=64", results.StagePost, "1 vCPU", "clean")
	}
	_, runs, err := results.Load(c.Dir)
	if err != nil {
		t.Fatal(err)
	}
	result := results.TuneOf(c, runs)
	c.Tune.Answer, c.Tune.Reason = result.Answer, result.Reason
	if err := w.Update(c); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	site := openSite(t, s, Options{})
	page := drawn(t, site, "c/"+c.ID+"/"+indexName)
	contains(t, "tuning", words(page), "✓ tuned", "The setting threads=64 reproduces at least", "start 0 of 30", "threads=64 1 of 1", "again 5 of 5", "&lt;race&gt;-tuned.yaml")
	contains(t, "the index", words(drawn(t, site, indexName)), "✓ tuned", "tune")
	if text := words(drawn(t, site, "c/"+c.ID+"/run-031.html")); len(text) == 0 || strings.Contains(text, "This run again") {
		t.Errorf("the page of a run offers a command that would run another setting: %s", text)
	}
}
