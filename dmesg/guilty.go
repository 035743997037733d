package dmesg

import (
	"slices"
	"strings"
)

// guilty returns the function to blame, as titles show it, and the raw name of
// the function that the header or the instruction pointer names.
func (b *block) guilty() (function, header string) {
	header = b.groups["func"]
	if header == "" {
		header = b.firstIP()
	}
	candidates := b.candidates()
	for _, name := range candidates {
		base := baseFunction(name)
		if !b.skipped(base) {
			return b.rename(base), header
		}
	}
	if b.rule.guilt == guiltHung && len(candidates) > 0 {
		return outermost(candidates), header
	}
	if b.rule.kind == KindLockdep { // the trace is missing or all helpers
		for _, it := range b.items {
			if it.kind == itemLockAt && b.rule.guilt != guiltNone {
				return titleFunction(it.frame.Function), header
			}
		}
	}
	if header != "" && b.rule.guilt != guiltNone {
		return titleFunction(header), header
	}
	if b.rule.guilt != guiltNone && b.rule.guilt != guiltHeader {
		return b.doubtful(), header
	}
	return "", header
}

// outermost names a task that sleeps in nothing but helpers after the function
// that it began with: that of a thread, below what starts threads.
func outermost(candidates []string) string {
	name := ""
	for _, c := range candidates {
		if base := baseFunction(c); base != "kthread" && !strings.HasPrefix(base, "ret_from_fork") {
			name = base
		}
	}
	return titleFunction(name)
}

// doubtful is the function to blame when the unwinder is sure of no frame:
// after a jump into data there is nothing that it could start from.
func (b *block) doubtful() string {
	for _, it := range b.items {
		switch {
		case it.kind != itemFrame:
		case !it.frame.Unreliable:
			return ""
		case !b.skipped(baseFunction(it.frame.Function)):
			return b.rename(baseFunction(it.frame.Function))
		}
	}
	return ""
}

// skipped says whether a function is a helper for this kind of report.
func (b *block) skipped(base string) bool {
	switch b.rule.guilt {
	case guiltHeader, guiltLast:
		return false
	case guiltLockAt:
		if b.namesLock() {
			return false
		}
	case guiltHung:
		if isMeetingPoint(base) {
			return false
		}
	}
	if selfTests.has(base) {
		return false
	}
	return everyKind.has(base) || b.rule.skip.has(base)
}

// rename gives the name that stands in titles.
func (b *block) rename(base string) string {
	if b.rule.guilt == guiltHung {
		for _, m := range hungMeetingPoints {
			if strings.Contains(base, m[0]) && m[1] != "" {
				return m[1]
			}
		}
	}
	return titleFunction(base)
}

// candidates lists functions in the order in which they may be to blame.
func (b *block) candidates() []string {
	header := b.groups["func"]
	switch b.rule.guilt {
	case guiltHeader:
		return withName(header, nil)
	case guiltLast:
		return withName(b.lastFunction, nil)
	case guiltWarn:
		return withName(header, b.fromIP())
	case guiltTrace:
		return b.firstTrace()
	case guiltFirst:
		return withName(header, b.firstFrames())
	case guiltStall:
		stack := b.fromIP()
		if slices.ContainsFunc(stack, isWatchdog) { // its own stack on top of the stuck one
			stack = b.interruptedStack()
		}
		return b.belowDispatcher(stack)
	case guiltRCU:
		return b.belowDispatcher(b.interruptedStack())
	case guiltHung:
		return b.sleeper(b.firstTrace())
	case guiltLockAt:
		return b.locks(1)
	case guiltLockPair:
		return b.locks(2)
	case guiltBecame:
		if names := b.afterSection("which became "); names != nil {
			return names
		}
		return b.locks(1)
	case guiltLeak:
		if names := b.afterSection("backtrace"); names != nil {
			return names
		}
		return b.firstTrace()
	case guiltPage:
		if names := b.afterSection("page last allocated"); names != nil {
			return names
		}
		return b.firstTrace()
	}
	return nil
}

func withName(name string, rest []string) []string {
	if name == "" {
		return rest
	}
	return append([]string{name}, rest...)
}

// ownItems leaves out what stands before the line that names CPU and task when
// an instruction pointer follows that line: registers above it are those of
// another CPU, whose report ended while this one's header was printed.
func (b *block) ownItems() (items []item, from int) {
	for _, it := range b.items[b.taskAt:] {
		if it.kind == itemIP {
			return b.items[b.taskAt:], b.taskAt
		}
		if it.kind == itemTrace || it.kind == itemFrame {
			break
		}
	}
	return b.items, 0
}

// firstIP is the function of the first kernel instruction pointer.
func (b *block) firstIP() string {
	items, _ := b.ownItems()
	for _, it := range items {
		if it.kind == itemIP && !it.frame.Inlined {
			return it.frame.Function // "" for an address that is no function
		}
	}
	return ""
}

// run collects the reliable frames from index i on, up to the next section or
// to the second trace heading.
func (b *block) run(i int) []string {
	var names []string
	traces := 0
	for ; i < len(b.items); i++ {
		switch it := b.items[i]; it.kind {
		case itemFrame:
			if !it.frame.Unreliable && !it.frame.Inlined {
				names = append(names, it.frame.Function)
			}
		case itemIP:
			if it.frame.Function != "" && !it.frame.Inlined {
				names = append(names, it.frame.Function)
			}
		case itemTrace:
			if traces++; traces > 1 && len(names) > 1 {
				return names
			}
		case itemSection, itemUserIP:
			if len(names) > 0 {
				return names
			}
		}
	}
	return names
}

// fromIP is the stack from the first kernel instruction pointer on; without
// one it is the first trace.
//
// A warning under panic_on_warn prints the trace of the panic first, in which
// the instruction pointer of the trap stands below helpers only. An instruction
// pointer below other functions is that of an interrupted context.
func (b *block) fromIP() []string {
	items, from := b.ownItems()
	for i, it := range items {
		switch {
		case it.kind == itemIP:
			return b.run(from + i)
		case it.kind == itemFrame && !it.frame.Unreliable && !it.frame.Inlined && !b.skipped(baseFunction(it.frame.Function)):
			return b.firstTrace()
		}
	}
	return b.firstTrace()
}

// firstTrace is the trace under the first "Call Trace:", or the first frames
// of a report without that heading.
func (b *block) firstTrace() []string {
	for i, it := range b.items {
		if it.kind == itemTrace {
			if names := b.run(i); len(names) > 0 {
				return names
			}
		}
	}
	return b.run(0)
}

// firstFrames is the run of frames that follows the header at once (KMSAN,
// KFENCE), or the first trace.
func (b *block) firstFrames() []string {
	for _, it := range b.items {
		if it.kind == itemTrace {
			return b.firstTrace()
		}
	}
	return b.run(0)
}

// afterSection is the trace under the first heading that starts with prefix.
func (b *block) afterSection(prefix string) []string {
	for i, it := range b.items {
		if it.kind == itemSection && strings.HasPrefix(it.label, prefix) {
			return b.run(i + 1)
		}
	}
	return nil
}

// locks lists the functions of the first n "at:" lines, then the frames after
// the last of these, then the first trace.
func (b *block) locks(n int) []string {
	var names []string
	last := 0
	for i, it := range b.items {
		if it.kind == itemLockAt {
			names = append(names, it.frame.Function)
			last = i
			if len(names) == n {
				break
			}
		}
	}
	if n > 1 {
		names = append(names, b.nextFrames(last)...)
	}
	return append(names, b.firstTrace()...)
}

// nextFrames is the first run of frames after index i, whatever its heading.
func (b *block) nextFrames(i int) []string {
	for ; i < len(b.items); i++ {
		if b.items[i].kind == itemFrame {
			return b.run(i)
		}
	}
	return nil
}

func containsAny(s string, parts []string) bool {
	for _, p := range parts {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}

func isMeetingPoint(base string) bool {
	for _, m := range hungMeetingPoints {
		if strings.Contains(base, m[0]) {
			return true
		}
	}
	return false
}

// sleeper puts the meeting points of hung tasks first.
func (b *block) sleeper(stack []string) []string {
	for _, name := range stack {
		base := baseFunction(name)
		for _, m := range hungMeetingPoints {
			if strings.Contains(base, m[0]) {
				if m[1] != "" {
					return []string{m[1]}
				}
				return []string{base}
			}
		}
	}
	return stack
}
