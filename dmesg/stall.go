package dmesg

import "strings"

// Where a CPU that does not come back was: the stack below the interrupt that
// noticed it, and in it what a dispatcher called.

// isWatchdog recognises the timer that looks for soft lockups.
func isWatchdog(name string) bool {
	base := baseFunction(name)
	return base == "watchdog_timer_fn" || base == "watchdog_overflow_callback"
}

// interruptMarks are the functions through which a timer interrupt or NMI
// comes in; what it interrupted stands after them.
var interruptMarks = [...]string{"apic_timer_interrupt", "end_repeat_nmi", "asm_exc_nmi", "el1h_64_irq", "el1_irq", "__irq_svc", "decrementer_common", "ext_int_handler", "handle_exception", "ret_from_exception"}

// interruptedStack is the stack that the timer interrupt of an RCU stall cut into.
func (b *block) interruptedStack() []string {
	at := -1
	for i, it := range b.items {
		if it.kind == itemFrame && !it.frame.Unreliable && containsAny(it.frame.Function, interruptMarks[:]) {
			at = i
			if i+1 < len(b.items) && b.items[i+1].kind == itemFrame && containsAny(b.items[i+1].frame.Function, interruptMarks[:]) {
				continue // sysvec_... calls asm_sysvec_...
			}
			break
		}
		if it.kind == itemSection && strings.HasPrefix(it.label, "exception stack") {
			at = i
			break
		}
	}
	if at >= 0 {
		if names := b.run(at + 1); len(names) > 0 {
			return names
		}
	}
	if names := b.afterSection("nmi backtrace for"); names != nil {
		return names
	}
	return b.withoutGracePeriodThread()
}

// withoutGracePeriodThread is the first stack that is not that of RCU's own
// thread, which is shown because it starves and does nothing wrong.
func (b *block) withoutGracePeriodThread() []string {
	own := false
	for i, it := range b.items {
		switch it.kind {
		case itemSection:
			own = strings.Contains(it.label, "grace-period kthread")
		case itemIP, itemTrace:
			if own {
				own = it.kind == itemIP
				continue
			}
			if names := b.run(i); len(names) > 0 {
				return names
			}
		}
	}
	return nil
}

// belowDispatcher picks the function that the first dispatcher in the stack
// called, then the rest of the stack as a fallback.
func (b *block) belowDispatcher(stack []string) []string {
	previous := ""
	for _, name := range stack {
		base := baseFunction(name)
		if b.skipped(base) {
			continue
		}
		if selfTests.has(base) {
			return []string{base}
		}
		if short := titleFunction(base); stallAnchors.has(short) || stallAnchors.has(base) {
			if strings.Contains(base, "smp_call_function") {
				return []string{"smp_call_function"}
			}
			if previous == "" {
				return []string{base}
			}
			return []string{previous}
		}
		previous = base
	}
	return stack
}
