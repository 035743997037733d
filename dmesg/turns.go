package dmesg

import (
	"bytes"
	"slices"
	"strconv"
)

// In a log without caller ids, reports of CPUs that fail at the same time can
// be told apart only by what their lines say. A report that another one's header
// cuts off before its trace waits for its turn, which comes with its line
// "CPU: 1 PID: 23 Comm: ..." or with a header that only continues it. From
// then on both are read side by side, see braid.

// wait lets a line pass that is of another report, or proves nothing.
func (b *block) wait() {
	limit := maxBlockGap
	if b.rule.summary {
		limit = maxSummaryGap
	}
	if b.gap++; b.gap > limit {
		b.waiting, b.closed = false, true
	}
}

// resume gives the turn to a report that waits; the others of its caller wait,
// but for one that has no header yet.
func (p *Parser) resume(w *block) *block {
	for _, b := range p.open {
		if b != w && !b.closed && b.from == w.from {
			b.waiting = !b.ended && b.rule != nil
			b.closed = !b.waiting
		}
	}
	w.waiting, w.interrupted, w.gap = false, false, 0
	return w
}

// waitsFor is the report that a header continues, if that has no turn now.
func (p *Parser) waitsFor(l *logLine, rule *compiledRule) *block {
	for i := len(p.open) - 1; i >= 0; i-- {
		if b := p.open[i]; b.waiting && b.from == l.from && rule.second && joins(b, rule) {
			return b
		}
	}
	return nil
}

// giveTurn finds out whose line this is when a report waits.
func (p *Parser) giveTurn(l *logLine) {
	if !p.anyWaits() {
		return
	}
	text := bytes.TrimSpace(l.body[:min(len(l.body), 200)])
	if m := cpuLine.FindSubmatch(text); m != nil {
		pid, _ := strconv.Atoi(string(m[2]))
		p.giveTask(l, pid)
		return
	}
	speaker := p.current(l)
	for _, b := range p.open {
		if b.waiting && b.from == l.from && b.owns(text) && (speaker == nil || !speaker.owns(text)) {
			p.takeTurn(speaker, b)
			return
		}
	}
	if speaker == nil || speaker.rule == nil || !speaker.namesTask() {
		return
	}
	// What comes after a task's name is of a report that has named its own, and
	// registers are those of a trap.
	if speaker.tasked && (speaker.rule.ending == endTrace || !isRegister(text)) {
		return
	}
	for _, b := range p.open {
		if b.waiting && b.from == l.from && b.tasked && b.expects(l) > 0 {
			p.takeTurn(speaker, b)
			return
		}
	}
}

// giveTask gives the line that names CPU and task to the report which is known
// to be of this task, else to the report which has the turn, unless this is known
// to be of another or its fault has to wait for that of the other.
func (p *Parser) giveTask(l *logLine, pid int) {
	speaker, another, polite := p.current(l), true, false
	if speaker != nil {
		known, ok := speaker.task()
		if speaker.panicked || ok && known == pid && !speaker.tasked {
			return
		}
		another, polite = ok && known != pid, !ok && !speaker.dying
	}
	var unknown *block
	for _, b := range p.open {
		if !b.waiting || b.rule.summary || b.from != l.from {
			continue
		}
		if known, ok := b.task(); !ok && unknown == nil {
			unknown = b
		} else if ok && known == pid {
			p.takeTurn(speaker, b)
			return
		}
	}
	// Of two faults that name no task, that which has printed "[#1]" goes on: the
	// kernel lets one at a time print what follows.
	if unknown != nil && (another || polite && unknown.dying) {
		p.takeTurn(speaker, unknown)
	}
}

// takeTurn lets a report that waits go on, beside the one that has the turn if
// that has not come to its end.
func (p *Parser) takeTurn(speaker, w *block) {
	if speaker == nil || speaker.from != (caller{}) || speaker.rule == nil || speaker.ended || speaker.panicked {
		p.resume(w)
		return
	}
	p.braidWith(speaker, w)
}

// noteDying notes the line with which a deadly fault begins.
func (b *block) noteDying(l *logLine) { b.dying = b.dying || isCounted(l) }

// isCounted recognises the line in which the kernel counts deadly faults.
func isCounted(l *logLine) bool {
	i := bytes.Index(l.body, []byte("[#"))
	return i >= 0 && i+2 < len(l.body) && isDigit(l.body[i+2])
}

// owns says whether a line begins as only lines of such reports do.
func (b *block) owns(text []byte) bool {
	return b.rule != nil && slices.ContainsFunc(b.rule.own, func(own string) bool { return bytes.HasPrefix(text, []byte(own)) })
}

func (p *Parser) anyWaits() bool {
	return slices.ContainsFunc(p.open, func(b *block) bool { return b.waiting })
}

// task is the process that a report is about, if its lines have said so.
func (b *block) task() (pid int, ok bool) {
	if b.rule != nil && b.groups["pid"] != "" {
		pid, err := strconv.Atoi(b.groups["pid"])
		return pid, err == nil
	}
	return b.pid, b.comm != ""
}
