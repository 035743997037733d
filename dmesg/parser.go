package dmesg

import "bytes"

// Option changes how a Parser works.
type Option func(*options)

type options struct {
	maxText     int
	maxLine     int
	minSeverity Severity
}

// WithMaxText bounds Report.Text to about n bytes; the default is 64 KiB.
func WithMaxText(n int) Option { return func(o *options) { o.maxText = max(n, 0) } }

// WithMinSeverity drops reports below a severity. They still count for
// FollowUp.
func WithMinSeverity(s Severity) Option { return func(o *options) { o.minSeverity = s } }

const (
	defaultMaxText = 64 << 10
	defaultMaxLine = 16 << 10
	maxOpen        = 64   // reports that are read at the same time
	maxRemembered  = 4096 // headers kept to recognise a replayed log
	wellStamped    = 5    // timestamps that make a log one with timestamps
)

// Parser finds reports in a log that is written to it piece by piece. It keeps
// the open reports and no more of the log than a bounded part of their text,
// so a log of any size can be streamed. A Parser is not safe for use by several
// goroutines at once.
type Parser struct {
	emit func(Report)
	opts options
	book *ruleBook

	line    []byte // a line that is not complete yet, within the limit
	lineLen int64  // its length without the limit
	offset  int64  // of the next line
	parts   []logLine

	open     []*block // in the order of their start
	braid    *braid   // two of them that are printed at the same time
	release  string   // of the last "Linux version"
	tainting bool     // a tainting report was seen since the last boot
	seen     map[string]bool

	leaks   bool // a leak was shown since the last line that counts them
	stamps  int  // timestamps seen, up to wellStamped
	running bool // a timestamp of a running system was seen since the last boot
	ending  bool // a panic or an orderly restart was seen: a boot is expected
}

// NewParser returns a parser that calls emit for every report, in the order in
// which the reports start. emit is called from Write and Close.
func NewParser(emit func(Report), opts ...Option) *Parser {
	p := &Parser{emit: emit, book: kernelRules(), seen: map[string]bool{},
		opts: options{maxText: defaultMaxText, maxLine: defaultMaxLine}}
	for _, o := range opts {
		o(&p.opts)
	}
	return p
}

// Write implements io.Writer; it never fails.
func (p *Parser) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			p.hold(b)
			break
		}
		if p.lineLen == 0 {
			p.physical(b[:min(i, p.opts.maxLine)], int64(i)+1, i <= p.opts.maxLine)
		} else {
			p.hold(b[:i])
			p.flushLine(1)
		}
		b = b[i+1:]
	}
	return n, nil
}

// hold keeps the start of a line whose end has not been written yet.
func (p *Parser) hold(b []byte) {
	p.lineLen += int64(len(b))
	if room := p.opts.maxLine - len(p.line); room > 0 {
		p.line = append(p.line, b[:min(room, len(b))]...)
	}
}

func (p *Parser) flushLine(newline int64) {
	line, length := p.line, p.lineLen
	p.line, p.lineLen = p.line[:0], 0
	p.physical(line, length+newline, newline == 1 && int64(len(line)) == length)
}

// Close ends the log and emits what is open; it never fails.
func (p *Parser) Close() error {
	if p.lineLen > 0 {
		p.flushLine(0)
	}
	p.Flush()
	return nil
}

// Flush emits the reports that are open as if the log ended after the last
// complete line. Use it when a live log has been silent for a while: most
// kinds of report have no end mark, and the parser would wait for more lines.
func (p *Parser) Flush() {
	for _, b := range p.open {
		b.atEOF = !b.closed
		b.closed = true
	}
	p.flush()
}

// physical takes one line of the log, without its newline; length counts the
// newline and what the line limit cut.
func (p *Parser) physical(raw []byte, length int64, complete bool) {
	start := p.offset
	p.offset += length
	hits := p.book.scanner.scan(raw)
	if p.stamps < wellStamped || !p.running {
		if n, ts := timestampAt(raw); n > 0 {
			p.stamps++
			p.running = p.running || ts > 1
		}
	}
	if hits == 0 && len(p.open) == 0 {
		return
	}
	for _, b := range p.open {
		b.remember(raw)
		if complete {
			b.remember([]byte{'\n'})
		}
	}
	p.parts, hits = p.mergeHeader(splitLine(raw, p.parts[:0]), hits)
	for i := range p.parts {
		l := &p.parts[i]
		l.start, l.end, l.complete = start+int64(max(l.offset, 0)), p.offset, complete
		p.message(l, hits, raw[max(l.offset, 0):])
	}
	if len(p.open) > 0 {
		p.flush()
	}
}

// mergeHeader makes the parts of a physical line one message when only the
// whole is a header: a timestamp was printed into the middle of it. hits are the
// triggers of the line, for which the whole is searched again.
func (p *Parser) mergeHeader(parts []logLine, hits uint64) ([]logLine, uint64) {
	if len(parts) < 2 || hits == 0 {
		return parts, hits
	}
	for i := range parts {
		rule, groups := p.book.match(parts[i].body, hits)
		if rule != nil && !rule.vague() && (rule.kind != KindWarning || groups["func"] != "") {
			return parts, hits
		}
	}
	for _, glue := range []string{" ", ""} { // between words, inside a word
		whole := joinParts(parts, glue)
		all := p.book.scanner.scan(whole)
		if rule, _ := p.book.match(whole, all); rule != nil && !rule.vague() && !rule.ignore {
			parts[0].body = whole
			return parts[:1], all
		}
	}
	return parts, hits
}

func joinParts(parts []logLine, glue string) []byte {
	var whole []byte
	for i := range parts {
		if i > 0 && !bytes.HasSuffix(whole, []byte(" ")) {
			whole = append(whole, glue...)
		}
		whole = append(whole, parts[i].body...)
	}
	return whole
}

// message takes one message.
func (p *Parser) message(l *logLine, hits uint64, raw []byte) {
	var rule *compiledRule
	if hits != 0 && l.offset >= 0 && !l.program {
		if hits&p.book.version != 0 {
			p.boot(l)
		}
		if hits&p.book.restart != 0 {
			p.ending = true
		}
		if hits&p.book.cutHere != 0 && bytes.Contains(l.body, []byte("[ cut here ]")) {
			p.cutHere(l, raw)
			return
		}
		var groups map[string]string
		if rule, groups = p.book.match(l.body, hits); rule != nil && !rule.ignore && p.header(l, rule, groups, raw) {
			return
		}
	}
	if rule == nil && p.completeHeader(l) {
		return
	}
	p.giveTurn(l)
	strand := p.strandOf(l)
	for _, b := range p.open {
		mine := b.accept(l)
		switch {
		case b.closed:
		case b.waiting || b.from == l.from && !mine:
			b.wait()
		case mine && (strand == nil || strand == b || b.from != strand.from):
			b.take(l)
		}
	}
}

// take adds a line to a report, which may have no header yet.
func (b *block) take(l *logLine) {
	if b.rule == nil && len(b.before) < maxCutHere {
		b.before = append(b.before, string(l.body[:min(len(l.body), 400)]))
	}
	b.add(l)
	if b.rule == nil && b.lines > maxCutHere && !b.isReport() {
		b.closed = true
	}
}

// push adds an open report.
func (p *Parser) push(b *block, raw []byte, l *logLine) {
	b.text = append(b.text, raw[:min(len(raw), p.opts.maxText)]...)
	if l.complete && len(b.text) < p.opts.maxText {
		b.text = append(b.text, '\n')
	}
	p.open = append(p.open, b)
	if len(p.open) > maxOpen {
		p.open[0].closed = true
		p.flush()
	}
}

// flush emits finished reports from the front, so that order is kept.
func (p *Parser) flush() {
	n := 0
	for n < len(p.open) && p.open[n].closed {
		p.finish(p.open[n])
		p.open[n] = nil
		n++
	}
	if n > 0 {
		p.open = append(p.open[:0], p.open[n:]...)
	}
}

func (p *Parser) flushAll() {
	for _, b := range p.open {
		b.interrupted = b.interrupted || !b.closed && !b.ended
		b.closed = true
	}
	p.flush()
}

// finish emits one report.
func (p *Parser) finish(b *block) {
	if b.discard || !b.isReport() {
		return
	}
	r := b.report(p.release)
	r.FollowUp = p.tainting || containsAny(r.Taint, []string{"W", "D"})
	if taints(&r) {
		p.tainting = true
	}
	if r.Severity >= p.opts.minSeverity {
		p.emit(r)
	}
}

// taints says whether what comes after a report may be its consequence.
func taints(r *Report) bool {
	switch r.Kind {
	case KindHungTask, KindKCSAN, KindUBSAN, KindMemoryLeak, KindOther:
		return false
	}
	return r.Severity >= SeverityMedium
}
