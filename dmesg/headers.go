package dmesg

import (
	"bytes"
	"strings"
)

// boot notes the kernel's first line: what came before was another boot.
func (p *Parser) boot(l *logLine) {
	rest, ok := bytes.CutPrefix(bytes.TrimSpace(l.body), []byte("Linux version "))
	if !ok {
		return
	}
	if i := bytes.IndexByte(rest, ' '); i > 0 {
		rest = rest[:i]
	}
	p.flushAll()
	p.running, p.ending, p.leaks = false, false, false
	p.release, p.tainting = sanitizeLine(string(rest[:min(len(rest), 100)])), false
}

// cutHere opens a report that has no header yet.
func (p *Parser) cutHere(l *logLine, raw []byte) {
	b := p.current(l)
	if b != nil {
		if b.awaitsWarning() {
			return // the next header decides
		}
		if b.rule == nil {
			b.closed = true
		} else {
			interrupt(b)
		}
	}
	nb := newBlock(l, p.opts.maxText)
	p.push(nb, raw, l)
	if b != nil {
		p.braidCut(b, nb)
	}
}

// awaitsWarning says whether a report of SLUB has had no trace yet: since 6.12
// the trace is that of a WARNING with which the allocator ends its report.
func (b *block) awaitsWarning() bool {
	return b.rule != nil && b.rule.slub && b.traces == 0 && !b.ended
}

// isSlubWarning recognises that WARNING.
func isSlubWarning(rule *compiledRule, groups map[string]string) bool {
	return rule.kind == KindWarning && strings.HasSuffix(groups["file"], "mm/slub.c") &&
		(groups["func"] == "object_err" || groups["func"] == "slab_err" || groups["func"] == "__slab_err")
}

// current is the open report of the line's caller.
func (p *Parser) current(l *logLine) *block {
	for i := len(p.open) - 1; i >= 0; i-- {
		if b := p.open[i]; !b.closed && !b.waiting && b.from == l.from {
			return b
		}
	}
	return nil
}

// header takes a line that is a header. It returns false when the line is to
// be read as part of what is open instead.
func (p *Parser) header(l *logLine, rule *compiledRule, groups map[string]string, raw []byte) bool {
	// A log that begins with a boot's last words before the kernel was cut at
	// a reboot; at an ordinary start the loader speaks first.
	if rule.reboot && (l.start > 0 && !p.running || p.ending) {
		return false
	}
	p.ending = p.ending || rule.kind == KindPanic
	if rule.kind == KindMemoryLeak && !p.countLeak(rule) {
		return true
	}
	b := p.current(l)
	if rule.sev == SeverityLow && rule.ending == endLine {
		return p.aside(l, b, rule, groups, raw)
	}
	if b != nil && b.rule == nil { // the header after "cut here"
		if rule.noise {
			return false
		}
		if p.replayed(l) {
			b.discard, b.closed = true, true
			return true
		}
		b.rule, b.groups, b.header = rule, groups, string(l.body)
		b.kernel, b.cutHere = true, true
		b.extend(l.end)
		b.readFacts(bytes.TrimSpace(l.body))
		return true
	}
	if b == nil && rule.join == joinAlways && rule.cut {
		b = p.lastOpen() // a panic that another CPU or context prints
	}
	if w := p.waitsFor(l, rule); w != nil && (b == nil || !joins(b, rule)) {
		b = p.resume(w)
	}
	if b != nil {
		if belongs, whole := p.continues(l, b, rule, groups); belongs {
			return whole
		}
	}
	if p.replayed(l) {
		return true
	}
	if b != nil {
		interrupt(b)
	}
	nb := newBlock(l, p.opts.maxText)
	nb.rule, nb.groups, nb.header = rule, groups, string(l.body)
	nb.panicked = rule.kind == KindPanic
	nb.dropped = l.dropped && rule.ending != endLine
	nb.unstamped = !l.kernel && p.stamps >= wellStamped
	p.push(nb, raw, l)
	nb.noteDying(l)
	nb.readFacts(bytes.TrimSpace(l.body))
	nb.discard = rule.noise
	nb.closed, nb.waiting = rule.ending == endLine && !rule.summary, rule.summary
	if b != nil {
		p.braidCut(b, nb)
	}
	return true
}

// continues says whether a header belongs to the report that is open, which it
// extends; whole says that the line needs no more reading.
func (p *Parser) continues(l *logLine, b *block, rule *compiledRule, groups map[string]string) (belongs, whole bool) {
	if b.cutHere && b.frames == 0 && !b.ended && b.rule.isPlaceOf(rule) {
		b.rule, b.groups = rule, groups
		b.extend(l.end)
		return true, true
	}
	another := b.dying && isCounted(l) // each fault has but one such line
	if another && joins(b, rule) {
		if w := p.waitsFor(l, rule); w != nil && !w.dying {
			b, another = p.resume(w), false
		}
	}
	if another || !joins(b, rule) && !(b.awaitsWarning() && isSlubWarning(rule, groups)) {
		return false, false
	}
	b.panicked = b.panicked || rule.kind == KindPanic
	b.gap, b.tail = 0, 0
	b.noteDying(l)
	b.extend(l.end)
	return true, false
}

// countLeak says whether a header about leaks makes a report. kmemleak counts
// them in a line that says no more than "unreferenced object" does.
func (p *Parser) countLeak(rule *compiledRule) bool {
	if rule.summary {
		shown := p.leaks
		p.leaks = false
		return !shown
	}
	p.leaks = true
	for _, b := range p.open {
		if b.rule != nil && b.rule.summary {
			b.discard, b.closed, b.waiting = true, true, false
		}
	}
	return true
}

// interrupt ends a report because its caller begins another. A task that fails
// again while it prints, before it came to its trace, prints that trace later or
// never; with caller ids the lines are known to be of the same stack, so the
// outer report goes on too. Without them it waits for its turn.
func interrupt(b *block) {
	b.interrupted = !b.ended
	switch {
	case b.ended || b.frames > 0 || b.rule.kind == KindHungTask || b.rule.guilt == guiltNone || b.nested >= maxNested:
		b.closed = true
	case b.from == (caller{}):
		b.waiting = true
	}
	b.nested++
}

// aside takes a header of one line and low severity. It neither ends a report
// that is open nor starts one inside its first lines, where it is a part of it:
// btrfs tells of the aborted transaction between "cut here" and the trace.
func (p *Parser) aside(l *logLine, b *block, rule *compiledRule, groups map[string]string, raw []byte) bool {
	if b != nil && (b.rule == nil || b.frames == 0 && !b.ended && b.rule.sev > SeverityLow || rule.join == joinAlways && !b.ended) {
		return false
	}
	if p.replayed(l) {
		return false
	}
	nb := newBlock(l, p.opts.maxText)
	nb.rule, nb.groups, nb.header, nb.closed = rule, groups, string(l.body), true
	p.push(nb, raw, l)
	return true
}

// lastOpen is the report that was opened last and still takes lines.
func (p *Parser) lastOpen() *block {
	for i := len(p.open) - 1; i >= 0; i-- {
		if b := p.open[i]; !b.closed && b.rule != nil && b.rule.sev >= SeverityMedium {
			return b
		}
	}
	return nil
}

// isPlaceOf says whether a WARNING is where the kernel found what the next header
// says: old kernels print the place first, and that a CPU is stuck was a WARN().
func (r *compiledRule) isPlaceOf(rule *compiledRule) bool {
	return r.kind == KindWarning && rule.kind == KindHardLockup
}

// joins says whether a header belongs to the open report of its caller.
func joins(b *block, rule *compiledRule) bool {
	if b.rule == nil || b.rule.sev < SeverityMedium && rule.sev >= SeverityMedium {
		return false
	}
	if b.cutHere && b.frames == 0 && !b.ended && rule.kind == KindWarning && (b.rule.guilt == guiltNone || b.rule.kernelOnly) {
		return true // the place of a WARN() after its message; every WARN() has a "cut here"
	}
	switch rule.join {
	case joinAlways:
		return rule.kind == KindPanic || !b.ended && (b.rule.kind == rule.kind || b.rule.kind == KindKASAN || b.rule.kind == KindBug)
	case joinEarly:
		trap := b.rule.kind == KindOops || b.rule.kind == KindBug && b.rule.ending == endTrace // BUG() is a trap
		return b.frames == 0 && !b.ended && b.lines < 30 && (b.rule.kind == rule.kind || trap)
	}
	return false
}

// replayed says whether the same message with the same time was a header
// before: consoles and log daemons print parts of a log again.
func (p *Parser) replayed(l *logLine) bool {
	if !l.hasTime {
		return false
	}
	key := string(l.body[:min(len(l.body), 200)])
	key = formatTime(l.time) + key
	if p.seen[key] {
		return true
	}
	if len(p.seen) >= maxRemembered {
		clear(p.seen)
	}
	p.seen[key] = true
	return false
}

// maxCutLines is how many messages after a header its missing end may come.
const maxCutLines = 3

// completeHeader puts a header together that was printed in two messages. It
// returns true when the line was the second part.
func (p *Parser) completeHeader(l *logLine) bool {
	b := p.current(l)
	if b == nil || b.rule == nil || len(l.body) == 0 || !b.accept(l) || b.lines >= maxCutLines || len(b.header) > 400 || !headerCut(b.rule, b.groups, b.header) {
		return false
	}
	if inName := b.groups["func"] != "" && l.body[0] != ' '; !inName && !strings.HasSuffix(b.header, " in") && startsTrace(l.body) {
		return false // but the rest of a name looks like a frame
	}
	for _, glue := range []string{"", " "} {
		whole := b.header + glue + string(l.body[:min(len(l.body), 400)])
		rule, groups := p.book.match([]byte(whole), p.book.scanner.scan([]byte(whole)))
		if rule == nil || rule.vague() || rule.ignore || headerCut(rule, groups, whole) {
			continue
		}
		if name := groups["func"]; name != "" && !strings.Contains(whole, name+"+0x") {
			continue // a word of another message
		}
		b.rule, b.groups, b.header = rule, groups, whole
		b.closed = rule.ending == endLine
		b.readFacts(bytes.TrimSpace(l.body))
		b.extend(l.end)
		return true
	}
	return false
}

// headerCut says whether more of a header may follow: after the first words, or
// inside the name of a function, which is followed by an offset.
func headerCut(rule *compiledRule, groups map[string]string, header string) bool {
	name := groups["func"]
	return rule.vague() || rule.kind == KindWarning && name == "" || name != "" && strings.HasSuffix(header, " "+name)
}
