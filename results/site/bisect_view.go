package site

import (
	"cmp"
	"fmt"
	"slices"

	"patchproof/results"
	"patchproof/results/judge"
)

// bisectRows bounds the commits that a page ranks.
const bisectRows = 50

// bisectBody is what a bisection has found.
type bisectBody struct {
	Find    string
	Found   bool
	Reason  string
	Doubt   string
	Set     []bisectCommit
	Ranked  []bisectCommit
	Left    int // commits that are not listed
	Range   string
	Rate    string
	Commits int
}

func (b *bisectBody) state() string {
	if b.Found {
		return "found"
	}
	return "inconclusive"
}

// bisectCommit is a commit of the range with its chance and its runs.
type bisectCommit struct {
	Commit, Subject, Author string
	Percent                 string
	Share                   float64
	Runs                    string
	Untestable              string
}

func bisectView(c *campaign) (*bisectBody, error) {
	b, err := results.LoadBisection(c.Dir)
	if err != nil {
		return nil, err
	}
	answer := b.Judge.Answer()
	v := &bisectBody{Find: string(b.Record.Rules.Find), Found: answer.Found, Reason: answer.Reason, Doubt: cmp.Or(answer.EndpointDoubt, b.AnswerDoubt()), Commits: len(b.Record.Commits),
		Range: fmt.Sprintf("%s..%s of %s", b.Record.Old.Rev, b.Record.New.Rev, b.Record.Tree)}
	counts := map[string]judge.Counts{}
	for i := range c.Runs {
		if r := &c.Runs[i]; results.Counted(r) {
			n := counts[r.Commit]
			n.Add(r.Outcome)
			counts[r.Commit] = n
		}
	}
	trials := 0
	for _, n := range counts {
		trials += n.Reproduced
	}
	if trials > 0 {
		v.Rate = results.RateText(answer.Rate, trials)
	}
	for _, candidate := range answer.Ranked {
		row := commitRow(b, candidate, counts)
		if slices.Contains(answer.Set, candidate.Node) {
			v.Set = append(v.Set, row)
		}
		if len(v.Ranked) == bisectRows {
			v.Left++
			continue
		}
		v.Ranked = append(v.Ranked, row)
	}
	return v, nil
}

func commitRow(b *results.Bisection, candidate judge.Candidate, counts map[string]judge.Counts) bisectCommit {
	commit := b.Commit(candidate.Node)
	row := bisectCommit{Commit: shortCommit(commit.Commit), Subject: commit.Subject, Author: commit.Author,
		Share: candidate.Probability, Percent: judge.Percent(candidate.Probability), Untestable: b.Untestable(candidate.Node)}
	if n := counts[commit.Commit]; n.Runs() > 0 {
		row.Runs = fmt.Sprintf("%d of %d", n.Reproduced, n.Trials())
	}
	return row
}
