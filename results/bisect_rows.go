package results

import (
	"cmp"
	"fmt"
	"slices"

	"patchproof/results/judge"
)

// bisectRow is what is known of one commit.
type bisectRow struct {
	Commit  string `json:"commit"`
	Subject string `json:"subject"`
	Author  string `json:"author,omitempty"`
	// Probability is that of being the answer, Changed that of having what the
	// answer changed: the sum over the commit and its ancestors, those before the
	// range included.
	Probability  float64 `json:"probability"`
	Changed      float64 `json:"changed"`
	Reproduced   int     `json:"reproduced"`
	Clean        int     `json:"clean"`
	OtherOutcome int     `json:"other_outcome"` // other failures and invalid runs
	Untestable   string  `json:"untestable,omitempty"`
	BuildLog     string  `json:"build_log,omitempty"`
}

// informative is the number of runs that said something of the bug.
func (r *bisectRow) informative() int { return r.Reproduced + r.Clean }

// bisectView is a bisection's state, ready to be shown.
type bisectView struct {
	*Bisection
	answer      judge.Answer
	probability []float64 // by node
	counts      judge.Counts
	stopped     int // runs
	next        judge.Step
	more        bool
}

func viewOf(b *Bisection) *bisectView {
	v := &bisectView{Bisection: b, answer: b.Judge.Answer(), probability: make([]float64, b.graph.Len())}
	for _, c := range v.answer.Ranked {
		v.probability[c.Node] = c.Probability
	}
	v.next, v.more = b.Judge.Next()
	for i := range b.Runs {
		r := &b.Runs[i]
		switch {
		case r.Stopped:
			v.stopped++
		case r.Outcome == judge.Reproduced:
			v.counts.Reproduced++
		case r.Outcome == judge.Clean:
			v.counts.Clean++
		case r.Outcome == judge.OtherFailure:
			v.counts.OtherFailure++
		default:
			v.counts.Invalid++
		}
	}
	return v
}

// Found reports whether one commit is the answer at the confidence asked for.
func (b *Bisection) Found() bool {
	a := b.Judge.Answer()
	return a.Found && len(a.Set) == 1
}

// AnswerDoubt says what the runs leave open about the answer; empty if nothing.
//
// A search for a fix takes all commits without it for broken. On a branch that
// forked off before the old end the bug may not have been there yet, and a clean
// run means nothing.
func (b *Bisection) AnswerDoubt() string {
	a := b.Judge.Answer()
	if b.Record.Rules.Find != judge.FindFix || !a.Found {
		return ""
	}
	for _, node := range a.Set {
		if c := b.Commit(node); c.Aside {
			return fmt.Sprintf("%s is on a branch that forked off before %s: the bug may not have been there yet. If its parent does not show it either (patchproof test-commit --tree %s --rev %s^), this commit has fixed nothing",
				short(c.Commit), b.Record.Old.Rev, ShellQuote([]string{b.Record.Tree}), short(c.Commit))
		}
	}
	return ""
}

// warnings are those of the record and the answer's doubt.
func (v *bisectView) warnings() []string {
	out := append([]string{}, v.Campaign.Warnings...)
	if doubt := v.AnswerDoubt(); doubt != "" {
		out = append(out, doubt)
	}
	return out
}

// row returns what is known of a node of the range or of an end.
func (v *bisectView) row(node int) bisectRow {
	c, h := v.Commit(node), v.at(node)
	r := bisectRow{Commit: c.Commit, Subject: line(c.Subject), Author: line(c.Author),
		Reproduced: h.reproduced, Clean: h.clean, OtherOutcome: h.other, Untestable: line(h.untestable), BuildLog: line(h.log)}
	r.Changed = v.answer.Before
	switch {
	case node >= 0:
		r.Probability = v.probability[node]
		for a := range v.graph.Ancestors(node) {
			r.Changed += v.probability[a]
		}
	case node == judge.NewEnd:
		for _, p := range v.probability {
			r.Changed += p
		}
	}
	r.Changed = min(r.Changed, 1)
	return r
}

// tested says that a run or a failed build happened at a commit.
func (v *bisectView) tested(node int) bool {
	h := v.history[node]
	return h != nil && (h.reproduced+h.clean+h.other > 0 || h.untestable != "")
}

// newNode is the node that stands for the new end.
func (v *bisectView) newNode() int {
	if node, ok := v.Node(v.Record.New.Commit); ok && node != judge.NewEnd {
		return node
	}
	return v.graph.Len() - 1
}

// shown chooses the nodes worth a line, newest first: the likely ones with their
// neighbours, and all that were tested; at most limit of the likely ones.
func (v *bisectView) shown(limit int) []int {
	chosen := map[int]bool{}
	for i, c := range v.answer.Ranked {
		if i >= limit || i > 0 && c.Probability < 0.001 {
			break
		}
		chosen[c.Node] = true
		for _, p := range v.Record.Commits[c.Node].Parents {
			chosen[p] = true
		}
	}
	for node := range v.Record.Commits {
		if v.tested(node) {
			chosen[node] = true
		}
	}
	nodes := make([]int, 0, len(chosen))
	for node := range chosen {
		nodes = append(nodes, node)
	}
	slices.SortFunc(nodes, func(a, b int) int { return cmp.Compare(b, a) })
	return nodes
}

// evidence returns a finished run that shows best what happened at a commit: one
// that reproduced, or any.
func (v *bisectView) evidence(commit string) *Run {
	var best *Run
	for i := range v.Runs {
		r := &v.Runs[i]
		if r.Commit == commit && !r.Stopped && (best == nil || best.Outcome != judge.Reproduced && r.Outcome == judge.Reproduced) {
			best = r
		}
	}
	return best
}

// sides are the words for the two kinds of commits.
func (v *bisectView) sides() (old, new string) {
	if v.Record.Rules.Find == judge.FindFix {
		return "broken", "fixed"
	}
	return "good", "bad"
}

// sure reports on which side of the answer the confidence holds a commit.
func (v *bisectView) sure(row bisectRow) (isNew, isOld bool) {
	goal := v.Record.Rules.Confidence
	return row.Changed >= goal, row.Changed <= 1-goal
}
