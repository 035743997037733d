package dmesg

import (
	"bytes"
	"slices"
	"strconv"
)

// braid is a pair of reports whose CPUs print at the same time without caller
// ids. Reports are printed in a fixed order (task, instruction pointer,
// registers, trace, end mark), so a line that only one of them can print next is
// that one's. Where both can, the CPUs are taken to print in turn, once each of
// them has been seen to print.
type braid struct {
	strands [2]*block // the older one first
	older   int       // lines that only the older one could print, since the newer one began
	last    int       // the strand of the last line
	given   bool      // the next line is known to be of the last strand
}

// provenAlive is how many lines show that a report which was cut off goes on: one
// frame may stand in the head of another report ("Preemption disabled at:").
const provenAlive = 2

// braidWith lets a report go on, with the line that shows that it does, beside
// the one that has the turn.
func (p *Parser) braidWith(speaker, w *block) {
	w.waiting, w.interrupted, w.gap = false, false, 0
	p.braid = &braid{strands: [2]*block{speaker, w}, older: provenAlive, last: 1, given: true}
	if slices.Index(p.open, w) < slices.Index(p.open, speaker) {
		p.braid.strands, p.braid.last = [2]*block{w, speaker}, 0
	}
}

// braidCut keeps a report that another one's header cut off in the middle of its
// trace, in case that both go on.
func (p *Parser) braidCut(old, b *block) {
	if old.from == (caller{}) && !old.ended && !old.panicked && old.frames > 0 && old.rule != nil && old.rule.ending != endLine && !b.closed && !b.waiting {
		old.closed = false
		p.braid = &braid{strands: [2]*block{old, b}, last: 1}
	}
}

// strandOf is the report of a line, nil when no two reports are braided.
func (p *Parser) strandOf(l *logLine) *block {
	w := p.braid
	if w == nil || l.from != (caller{}) {
		return nil
	}
	for i, b := range w.strands {
		if b.closed || b.waiting || b.ended { // the other one has the rest of the lines
			b.closed = b.closed || b.ended
			return w.end(p, 1-i)
		}
	}
	if w.given {
		w.given = false
		return w.strands[w.last]
	}
	older, newer := w.strands[0].expects(l), w.strands[1].expects(l)
	switch {
	case older == 0 && newer == 0:
	case older > newer:
		w.older++
		w.strands[0].interrupted, w.last = w.strands[0].interrupted && w.older < provenAlive, 0
	case newer > older:
		w.last = 1
	case w.older < provenAlive:
		w.strands[0].closed = true
		return w.end(p, 1)
	default:
		w.last = 1 - w.last
	}
	return w.strands[w.last]
}

// end unravels the braid. What is left of it takes all lines, unless it was cut
// off before and has had none since.
func (w *braid) end(p *Parser, left int) *block {
	b := w.strands[left]
	p.braid = nil
	if left == 0 && w.older < provenAlive {
		b.closed = true
	}
	return b
}

// expects says whether a line is what this report prints next: 2 when it says so
// itself, 1 when the report has come that far, 0 when it has not, or when any
// report may hold such a line at any place.
func (b *block) expects(l *logLine) int {
	if b.rule == nil {
		return 0
	}
	may := false
	text := bytes.TrimSpace(l.body[:min(len(l.body), 200)])
	if m := cpuLine.FindSubmatch(text); m != nil {
		known, ok := b.task()
		if ok && !b.tasked && strconv.Itoa(known) == string(m[2]) {
			return 2
		}
		may = !ok && !b.tasked
	} else if _, _, ip := parseIP(l.body); ip {
		may = b.tasked && b.rule.ending == endTrace && !b.hasIP()
	} else if isRegister(text) {
		may = b.rule.ending == endTrace && b.hasIP() && b.traces == 0
	} else if kind, _, heading := traceHeading(text); heading {
		registers := b.rule.ending != endTrace || b.rule.kind == KindWarning || b.hasIP() // come first
		may = kind == itemTrace && b.tasked && b.traces == 0 && registers
	} else if frames, ok := parseFrame(l.body); ok {
		arm := len(frames) > 1 && b.tasked // has no heading
		may = b.traces > 0 || arm || !b.namesTask() && b.rule.kind != KindHungTask
	} else if bytes.HasPrefix(text, []byte("---[ end trace")) {
		may = b.frames > 0 && b.rule.ending == endTrace
	} else if b.owns(text) {
		return 2
	}
	if may {
		return 1
	}
	return 0
}

// hasIP says whether the instruction pointer was printed after the task.
func (b *block) hasIP() bool {
	return slices.ContainsFunc(b.items[b.taskAt:], func(it item) bool { return it.kind == itemIP })
}

// namesTask says whether such a report names its task first and has all frames
// under a heading.
func (b *block) namesTask() bool {
	switch b.rule.kind {
	case KindWarning, KindBug, KindOops, KindPanic, KindKASAN, KindUBSAN:
		return !b.rule.slub
	}
	return false
}
