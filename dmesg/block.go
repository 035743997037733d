package dmesg

import (
	"bytes"
	"strings"
)

// itemKind says what a line of a report contributes to its analysis.
type itemKind int

const (
	itemFrame   itemKind = iota
	itemIP               // instruction pointer in the kernel
	itemUserIP           // instruction pointer in user space
	itemTrace            // "Call Trace:"
	itemSection          // another heading that starts a trace, such as "Freed by task 1:"
	itemLockAt           // "at: function" of a lock
)

// item is one element of a report's skeleton, in log order.
type item struct {
	kind  itemKind
	frame Frame
	label string // of a section, lower case
}

// Limits of one report. A report that grows beyond them is closed.
const (
	maxBlockLines = 4000
	maxBlockItems = 2000
	maxBlockGap   = 60  // lines of its caller that are not part of it
	maxSummaryGap = 300 // lines between the number of leaks and the leaks
	maxBlockSpan  = 30  // seconds without a line that is part of it
	maxFar        = 2   // such lines in a row
	maxProofLine  = 20  // lines after the header in which a proof must begin
	maxNested     = 2   // reports inside a report
	maxCutHere    = 12  // lines between "cut here" and the header
	maxTail       = 12  // lines after the end in which a panic still belongs to it
	maxBlockBytes = 4 << 20
)

// block is a report that is being read.
type block struct {
	rule    *compiledRule // nil between "cut here" and the header
	groups  map[string]string
	from    caller
	time    float64
	timed   bool
	kernel  bool
	cutHere bool   // the header stands after "cut here"
	header  string // the header's message

	start, end   int64
	text         []byte // raw log from start to end, within the limit
	pending      []byte // raw log after end that may still belong
	maxText      int
	before       []string // messages between "cut here" and the header
	items        []item
	readOrWrite  string // "Read" or "Write" of a sanitizer
	lastFunction string
	srcFile      string // first source location inside the report
	srcLine      int
	comm         string
	pid, cpu     int
	tasked       bool // the line that names CPU and task was seen
	taskAt       int  // number of items before the line that names CPU and task
	taint        string
	release      string

	lines, gap  int
	far         int // lines in a row that are much later than the report
	proofLine   int // the line on which the first frame stood
	nested      int // reports that began inside this one
	lastTime    float64
	registers   bool
	traces      int // trace headings
	frames      int
	allCPUs     bool // "Sending NMI": lines of other CPUs belong here too
	dying       bool // the line that counts deadly faults, "[#1]", was seen
	ended       bool // the end mark was seen
	tail        int  // lines since the end mark
	panicked    bool
	waiting     bool // another report has the turn, see turns.go
	closed      bool // takes no more lines
	discard     bool // a replay of a report
	unstamped   bool // the header has no timestamp in a log with timestamps
	dropped     bool // messages were lost inside
	interrupted bool // another report began before the end
	atEOF       bool // the log ended while the report was open
}

func newBlock(l *logLine, maxText int) *block {
	return &block{from: l.from, time: l.time, timed: l.hasTime, lastTime: l.time, kernel: l.kernel,
		start: l.start, end: l.end, maxText: maxText, cpu: -1, dropped: false}
}

// accept says whether a line was printed by the caller that prints the report.
// A report that needs proof takes it from the kernel only, not from a line
// without timestamp in a log with timestamps.
func (b *block) accept(l *logLine) bool {
	if b.rule != nil && b.needsProof() && b.timed != l.hasTime {
		return false
	}
	if b.from == l.from {
		return true
	}
	return b.allCPUs && l.from.kind == 'C'
}

// needsProof says whether only a trace makes this a report.
func (b *block) needsProof() bool {
	return b.rule.proof || b.rule.kernelOnly && !b.kernel
}

// add adds a line of the block's caller. It returns whether the line is
// recognisably part of the report.
func (b *block) add(l *logLine) bool {
	b.lines++
	if l.dropped {
		b.dropped = true
	}
	if l.hasTime && b.lastTime == 0 {
		b.lastTime = l.time // the header has lost its timestamp
	}
	if l.hasTime && l.time > b.lastTime+maxBlockSpan {
		if b.far++; b.far > maxFar {
			b.closed = true
		}
		return false
	}
	b.far = 0
	if b.ended && !b.panicked && startsTrace(l.body) {
		b.closed = true // a stack dump after the end is something else
		return false
	}
	part := b.read(l.body)
	if b.proofLine == 0 && b.frames > 0 {
		b.proofLine = b.lines
	}
	if part {
		b.gap = 0
		if l.hasTime {
			b.lastTime = l.time
		}
		b.extend(l.end)
	} else {
		b.gap++
	}
	if b.ended && !b.panicked && !isRegister(l.body) { // die() shows them again before it panics
		b.tail++
	}
	if b.lines > maxBlockLines || b.gap > maxBlockGap || b.tail > maxTail ||
		l.end-b.start > maxBlockBytes {
		b.closed = true
	}
	return part
}

// startsTrace recognises frames and the headings over them.
func startsTrace(body []byte) bool {
	if _, ok := parseFrame(body); ok {
		return true
	}
	_, _, ok := traceHeading(bytes.TrimSpace(body[:min(len(body), 100)]))
	return ok
}

// extend moves the end of the report behind a line.
func (b *block) extend(end int64) {
	if end <= b.end {
		return
	}
	b.end = end
	if room := b.maxText - len(b.text); room > 0 {
		b.text = append(b.text, b.pending[:min(room, len(b.pending))]...)
	}
	b.pending = b.pending[:0]
}

// remember keeps raw log that extend may need.
func (b *block) remember(raw []byte) {
	if room := b.maxText - len(b.text) - len(b.pending); room > 0 {
		b.pending = append(b.pending, raw[:min(room, len(raw))]...)
	}
}

// read takes what a message says into the block and returns whether it looks
// like part of a report.
func (b *block) read(body []byte) bool {
	if len(b.items) < maxBlockItems {
		if frames, ok := parseFrame(body); ok {
			for _, f := range frames {
				b.items = append(b.items, item{kind: itemFrame, frame: f})
			}
			b.frames += len(frames)
			return true
		}
		if f, user, ok := parseIP(body); ok {
			b.registers = true
			if user {
				b.items = append(b.items, item{kind: itemUserIP})
			} else {
				b.items = append(b.items, item{kind: itemIP, frame: f})
			}
			return true
		}
	}
	if len(body) > 400 {
		body = body[:400]
	}
	text := bytes.TrimSpace(body)
	if b.readHeading(text) {
		return true
	}
	b.readFacts(text)
	return b.readMarks(text)
}

// readHeading recognises the headings of traces.
func (b *block) readHeading(text []byte) bool {
	kind, label, ok := traceHeading(text)
	if !ok {
		return false
	}
	if kind == itemTrace {
		b.traces++
	}
	if len(b.items) < maxBlockItems {
		b.items = append(b.items, item{kind: kind, label: label})
	}
	return true
}

// sectionHeadings start traces of other moments than the report's.
var sectionHeadings = [...]string{
	"Allocated by", "Freed by", "Allocated:", "Freed:", "Uninit was ", "Local variable ", "Last potentially related",
	"Second to last", "Last call_rcu", "page last ", "page_owner", "kfence-#", "allocated by", "freed by", "Object ",
	"the existing dependency chain", "-> #", "which became ", "INFO: Allocated", "INFO: Freed", "Last queued work",
	"NMI backtrace for", "RCU grace-period kthread stack", "rcu: RCU grace-period kthread stack", "Exception stack", "backtrace", "read to 0x", "write to 0x", "read-write to 0x", "the shortest dependencies",
	"the dependencies between", "to a ",
}

// traceHeading says whether a message is a heading under which frames stand.
func traceHeading(text []byte) (itemKind, string, bool) {
	if bytes.HasPrefix(text, []byte("Call Trace")) || bytes.HasPrefix(text, []byte("Call trace")) ||
		bytes.HasPrefix(text, []byte("Backtrace:")) || bytes.HasPrefix(text, []byte("Call Trace:")) {
		return itemTrace, "", true
	}
	if bytes.Contains(text, []byte("skipped: idling")) {
		return 0, "", false
	}
	for _, h := range sectionHeadings {
		if bytes.HasPrefix(text, []byte(h)) {
			return itemSection, strings.ToLower(string(text)), true
		}
	}
	if bytes.HasSuffix(text, []byte("state was registered at:")) {
		return itemSection, strings.ToLower(string(text)), true
	}
	return 0, "", false
}

// reportMarks are beginnings of lines that occur in reports and hardly
// elsewhere; they carry no facts but hold a report together.
var reportMarks = [...]string{
	"RAX:", "RDX:", "RBP:", "R10:", "R13:", "RSP:", "FS:", "CS:", "CR2:", "DR0:", "DR3:", "PKRU:", "Code:", "Stack:", "EAX:", "ESI:", "EDI:", "EBX:", "ES:",
	"EFLAGS:", "DR6:", "CR0:", "x0 ", "x2", "x1", "x5 ", "x8 ", "sp :", "lr :", "pstate:", "GPR", "Krnl ", "LR [", "MSR:", "CFAR:", "CTR:", "REGS:", "XER:", "ra :", "gp :", "tp :", "t0 :",
	"t3 :", "t5 :", "s1 :", "s2 :", "s5 :", "s8 :", "s11:", "a1 :", "a4 :", "a6 :", "a2 :", "a5 :", "a7 :", "a3 :", "a0 :", "epc", "status:", "task:", "Modules linked in", "CPU:", "Pid:", "Hardware name", "Workqueue:",
	"Tainted", "Not tainted", "Call ", "---", "===", "Memory state", "The buggy", "Read of", "Write of", "Read at", "Write at", "raw:", "page:", "flags:",
	"page dumped", "head:", "ffff", ">ffff", "Object ", "Redzone", "Padding", "INFO: Object", "INFO: Slab", "<IRQ>", "</IRQ>", "<TASK>", "</TASK>",
	"<NMI>", "</NMI>", "<EOI>", "<EOE>", "<UNK>", "#0:", "#1:", "#2:", "#3:", "#4:", "#5:", "#6:", "#7:", "irq event", "hardirqs last", "softirqs last",
	"stack backtrace", "other info", "Possible unsafe", "CPU0", "CPU1", "lock(", "*** DEADLOCK", "<Interrupt>", "locks held", "1 lock held", "2 locks held", "3 locks held",
	"Showing all locks", "Kernel Offset", "Rebooting in", "Dumping ftrace", "Sending NMI", "NMI backtrace", "end Kernel panic", "CPU features", "SMP: stopping",
	"Bytes ", "Memory access", "Reported by Kernel", "value changed", "Internal error", "Oops", "PGD ", "IP:", "*pde", "*pdpt", "pgd =", "[0", "Mem abort", "Data abort", "ESR =", "EC =", "SET =", "EA =", "FSC =", "ISV =", "CM =",
	"swapper pgtable", "user pgtable", "Process ", "KASAN:", "comm \"", "hex dump", "kthread starved", "RCU grace-period", "jiffies", "(t=", "(detected by", "\t(t=", "Disabling lock", "thread_info", "Trace; ", "Instruction dump", "NIP", "MSR", "PREEMPT", "BUG: Unable", "Machine check", "Krnl Code", "Last Breaking", "unwind:", "softirq:", "Faulting instruction", "Backtrace", "Exception ", "Register ", "r7 :", "r10:", "r3 :", "Flags:", "Control:", "pc :", "xPSR", "Mem-Info", "active_anon", "Node ", "lowmem_reserve", "Tasks state", "oom-kill:", "Out of memory", "DMA", "Normal", "HighMem",
}

// readMarks notices end marks and keeps a report together.
func (b *block) readMarks(text []byte) bool {
	switch {
	case len(text) == 0:
		return false
	case bytes.HasPrefix(text, []byte("---[ end ")):
		b.ended = true
		if bytes.HasPrefix(text, []byte("---[ end Kernel panic")) {
			b.closed = true
		}
		return true
	case bytes.HasPrefix(text, []byte("Rebooting in")):
		b.ended, b.closed = true, true
		return true
	case b.panicked && bytes.HasPrefix(text, []byte("Kernel Offset:")):
		b.ended = true // the last words of a panic that reboots at once
		return true
	case isRule(text):
		if b.rule != nil && b.rule.ending == endRule && b.lines > 1 && (b.frames > 0 || b.traces > 0 || b.lines > 4) {
			b.ended = true
		}
		return true
	case bytes.HasPrefix(text, []byte("Sending NMI from CPU")):
		b.allCPUs = true
		return true
	case bytes.HasPrefix(text, []byte("Kernel panic - not syncing")):
		b.panicked = true
		return true
	}
	for _, m := range reportMarks {
		if bytes.HasPrefix(text, []byte(m)) {
			return true
		}
	}
	return bytes.Contains(text, []byte("locks held by")) || bytes.Contains(text, []byte("lock held by")) || bytes.Contains(text, []byte("kthread starved"))
}

// isRule accepts a line of "=" as sanitizers and lockdep print it.
func isRule(text []byte) bool {
	return len(text) >= 20 && bytes.Count(text, []byte("=")) == len(text)
}
