package results

import (
	"fmt"
	"slices"

	"patchproof/dmesg"
	"patchproof/results/judge"
)

// Summary is a campaign with its runs and what follows from them: all that the
// reporters need.
type Summary struct {
	Campaign Campaign
	// Runs are the runs judged, in the order of their start.
	Runs []Run
	// Excluded are runs that were not pooled with them.
	Excluded []Run
	Evidence judge.Evidence
	Decision judge.Decision
	// Plain is the same plan on plain kernels, when this one was perturbed and
	// was to be confirmed.
	Plain *Summary
	// Warnings are those of campaign and decision and what came up on the way.
	Warnings []string
}

// Summarize judges the runs of a campaign as they are. When the campaign was
// stopped or failed, the decision is final.
//
// Runs are only pooled when they ran in guests of one shape and with one
// accelerator: the rate of a race depends on both. The largest such group is
// judged; the others are named in a warning.
func Summarize(c Campaign, runs []Run) Summary {
	s := Summary{Campaign: c, Warnings: slices.Clone(c.Warnings)}
	var warnings []string
	s.Runs, s.Excluded, warnings = pool(c, runs)
	s.Warnings = append(s.Warnings, warnings...)
	s.Evidence = EvidenceOf(s.Runs)
	badRules := c.Rules.Validate()
	switch {
	case badRules != nil: // edited by hand
		s.Decision = judge.Failed(s.Evidence, judge.Rules{}, fmt.Sprintf("%s: rules: %v", campaignFile, badRules))
	case c.Failed != "":
		s.Decision = judge.Failed(s.Evidence, c.Rules, c.Failed)
	case c.Stopped != "":
		s.Decision = judge.Final(s.Evidence, c.Rules, c.Stopped)
	default:
		s.Decision = judge.Judge(s.Evidence, c.Rules)
	}
	for _, w := range s.Decision.Warnings {
		if !slices.Contains(s.Warnings, w) {
			s.Warnings = append(s.Warnings, w)
		}
	}
	return s
}

// Recompute loads a campaign's folder and draws outcomes and verdict again. A
// campaign that was broken off is judged by what there is.
func Recompute(dir string) (Summary, error) {
	c, runs, err := Load(dir)
	if err != nil {
		return Summary{}, err
	}
	return Rejudge(c, runs), nil
}

// Rejudge is Recompute of a campaign that Load has returned.
func Rejudge(c *Campaign, runs []Run) Summary {
	ended := *c
	if c.Decision == nil && c.Stopped == "" && c.Failed == "" {
		ended.Stopped = "the campaign was broken off"
	}
	s := Summarize(ended, runs)
	if c.Decision != nil && !s.Decision.Decided {
		ended.Stopped = "the campaign has ended, and runs of it are missing"
		s = Summarize(ended, runs)
	}
	if c.Decision != nil && c.Decision.Verdict != s.Decision.Verdict {
		s.Warnings = append(s.Warnings, fmt.Sprintf("the campaign's record says %s, its run folders say %s", c.Decision.Verdict, s.Decision.Verdict))
	}
	return s
}

// pool splits the runs into those that can be judged together and the rest.
func pool(c Campaign, runs []Run) (in, out []Run, warnings []string) {
	size, best := map[string]int{}, ""
	for i := range runs {
		key := groupKey(&runs[i])
		size[key]++
		if size[key] > size[best] || best == "" {
			best = key
		}
	}
	kernels := map[judge.Side]string{judge.Pre: c.Pre.SHA256, judge.Post: c.Post.SHA256}
	apart, foreign := map[string]int{}, 0
	for _, r := range runs {
		key, want := groupKey(&r), kernels[r.Side]
		switch {
		case key != best:
			apart[key]++
			out = append(out, r)
		case want != "" && r.Kernel.SHA256 != "" && r.Kernel.SHA256 != want:
			foreign++
			out = append(out, r)
		default:
			in = append(in, r)
		}
	}
	for _, key := range sortedKeys(apart) {
		warnings = append(warnings, fmt.Sprintf("%s in other guests (%s) left out: only runs of one shape and accelerator (%s) are judged together", plural(apart[key], "run"), key, best))
	}
	if foreign > 0 {
		warnings = append(warnings, fmt.Sprintf("%s of another kernel image than the campaign's left out", plural(foreign, "run")))
	}
	return in, out, warnings
}

func groupKey(r *Run) string { return line(r.Accel + ", " + r.Shape) }

// line makes text from a guest, or from a file, fit for one line of a terminal.
func line(s string) string {
	s = dmesg.Sanitize(s)
	return mapSpace(s)
}
