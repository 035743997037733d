package site

import "patchproof/results"

// tuneBody is what the page of a tuning shows of its settings.
type tuneBody struct {
	Head []string
	Rows [][]string
	Plan string
}

// tuning fills in what a tuning says. Its runs are with many settings, so what
// the other kinds sum up over all runs is left out.
func (b *campaignBody) tuning(c *campaign) {
	t := results.TuneOf(&c.Campaign, c.Runs)
	if !c.Running {
		b.State, b.Reason = stateOf(string(t.Answer)), t.Reason
	}
	rows := results.TuneTable(&t)
	b.Tune = &tuneBody{Head: rows[0], Rows: rows[1:], Plan: c.Tune.PlanFile}
	b.Groups = nil
	for _, g := range results.GroupReports(c.Runs) {
		b.Groups = append(b.Groups, groupView(c, &g))
	}
	b.Time = nil
}
