package dmesg

import (
	"bytes"
	"slices"
	"strconv"
)

// In a log without caller ids, reports of CPUs that fail at the same time can
// be told apart only by what their lines say. A report that another one's header
// cuts off before its trace waits for its turn, which comes with its line
// "CPU: 1 PID: 23 Comm: ..." or with a header that only continues it. Traces that
// alternate line by line cannot be told apart.

// wait lets a line of another report pass.
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

// giveTurn finds out whose line names CPU and task: that of a report which is
// known to be of this task, else that of the report which has the turn, unless
// this is known to be of another.
func (p *Parser) giveTurn(l *logLine) {
	if !p.anyWaits() {
		return
	}
	m := cpuLine.FindSubmatch(bytes.TrimSpace(l.body[:min(len(l.body), 200)]))
	if m == nil {
		return
	}
	pid, _ := strconv.Atoi(string(m[2]))
	another := true
	if speaker := p.current(l); speaker != nil {
		known, ok := speaker.task()
		another = ok && known != pid
		if speaker.panicked || ok && known == pid && speaker.cpu < 0 {
			return
		}
	}
	var unknown *block
	for _, b := range p.open {
		if !b.waiting || b.rule.summary || b.from != l.from {
			continue
		}
		if known, ok := b.task(); !ok && unknown == nil {
			unknown = b
		} else if ok && known == pid {
			p.resume(b)
			return
		}
	}
	if unknown != nil && another {
		p.resume(unknown)
	}
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
