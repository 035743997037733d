package results

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"patchproof/results/judge"
)

// BisectGit writes a bisection as git bisect log does, for git bisect replay. A
// commit is marked only when the confidence holds it on that side, whatever its
// single runs showed: the ends, the commits that were run, and, once the answer
// is found, the answer and its parents. Untestable commits are skipped.
func BisectGit(w io.Writer, b *Bisection) error {
	v := viewOf(b)
	old, new := v.sides()
	var s strings.Builder
	s.WriteString(v.gitStart(old, new))
	mark := func(word string, c BisectCommit) {
		fmt.Fprintf(&s, "# %s: [%s] %s\ngit bisect %s %s\n", word, c.Commit, line(c.Subject), word, c.Commit)
	}
	mark(old, v.Record.Old.BisectCommit)
	mark(new, v.Record.New.BisectCommit)
	// git knows one commit of the new side, the one that it was told last: the
	// oldest has to come last.
	var newest []int
	for _, node := range v.marked() {
		r := v.row(node)
		isNew, isOld := v.sure(r)
		switch {
		case r.Commit == v.Record.New.Commit:
		case isNew:
			newest = append(newest, node)
		case isOld:
			mark(old, v.Commit(node))
		case r.Untestable != "":
			mark("skip", v.Commit(node))
		}
	}
	for _, node := range slices.Backward(newest) {
		mark(new, v.Commit(node))
	}
	if v.answer.Found && len(v.answer.Set) == 1 {
		c := v.Commit(v.answer.Set[0])
		fmt.Fprintf(&s, "# first %s commit: [%s] %s\n", new, c.Commit, line(c.Subject))
	}
	_, err := io.WriteString(w, s.String())
	return err
}

// gitStart is the line that begins a log: terms and the narrowing of the history.
func (v *bisectView) gitStart(old, new string) string {
	words := []string{"git", "bisect", "start"}
	quote := func(text string) { words = append(words, "'"+strings.ReplaceAll(text, "'", `'\''`)+"'") }
	if v.Record.Rules.Find == judge.FindFix {
		quote("--term-old=" + old)
		quote("--term-new=" + new)
	}
	if v.Record.FirstParent {
		quote("--first-parent")
	}
	if len(v.Record.Paths) > 0 {
		quote("--")
		for _, p := range v.Record.Paths {
			quote(p)
		}
	}
	return strings.Join(words, " ") + "\n"
}

// marked lists the nodes that a log may name, oldest first.
func (v *bisectView) marked() []int {
	wanted := map[int]bool{}
	if v.answer.Found && len(v.answer.Set) == 1 {
		wanted[v.answer.Set[0]] = true
		for _, p := range v.Record.Commits[v.answer.Set[0]].Parents {
			wanted[p] = true
		}
	}
	var nodes []int
	for node := range v.Record.Commits {
		if wanted[node] || v.tested(node) {
			nodes = append(nodes, node)
		}
	}
	return nodes
}
