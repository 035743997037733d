package dmesg

import (
	"fmt"
	"strings"
	"testing"
)

// x86Trace is a trace without a header, as dump_stack prints it.
const x86Trace = `CPU: 1 PID: 4321 Comm: loom Not tainted 6.12.0 #1
Hardware name: QEMU
Call Trace:
 <TASK>
 dump_stack_lvl+0x10/0x20
 loom_probe+0x20/0x30
 do_syscall_64+0x10/0x20
 entry_SYSCALL_64_after_hwframe+0x77/0x7f
 </TASK>`

// kernelLog gives every line of a text a timestamp.
func kernelLog(text string) string {
	var out strings.Builder
	for i, line := range strings.Split(text, "\n") {
		fmt.Fprintf(&out, "[%12.6f] %s\n", 100+float64(i)/1e4, line)
	}
	return out.String()
}

func parseText(t *testing.T, text string) []Report {
	t.Helper()
	reports, err := Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return reports
}

// TestHeaders gives headers of many kernels and architectures the same trace.
// The words are from the kernel's own format strings.
func TestHeaders(t *testing.T) {
	tests := []struct {
		header string
		kind   Kind
		title  string
	}{
		{"BUG: KCSAN: assert: race in loom_a+0x1/0x20 / loom_b+0x3/0x40", KindKCSAN, "KCSAN: assert: race in loom_a / loom_b"},
		{"BUG: KASAN: double-free in kfree+0x1/0x20", KindKASAN, "KASAN: invalid-free in loom_probe"},
		{"BUG: KASAN: invalid-access", KindKASAN, "KASAN: invalid-access in loom_probe"},
		{"BUG: KMSAN: kernel-infoleak-after-free in _copy_to_user+0x1/0x20", KindKMSAN, "KMSAN: kernel-infoleak-after-free in loom_probe"},
		{"UBSAN: misaligned-access in ./include/linux/loom.h:12:1", KindUBSAN, "UBSAN: misaligned-access in loom_probe"},
		{"INFO: task loom:17 is blocked on a mutex likely owned by task weft:18.", KindHungTask, "INFO: task hung in loom_probe"},
		{"INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 0-... } 2640 jiffies s: 1 root: 0x1/.", KindRCUStall, "INFO: rcu detected stall in loom_probe"},
		{"rcu: INFO: rcu_tasks detected stalls on tasks:", KindRCUStall, "INFO: rcu detected stall in loom_probe"},
		{"[ BUG: bad contention detected! ]", KindLockdep, "BUG: bad contention in loom_probe"},
		{"WARNING: possible recursive locking detected", KindLockdep, "possible deadlock in loom_probe"},
		{"WARNING: loom/17 still has locks held!", KindLockdep, "WARNING: still has locks held in loom_probe"},
		{"BUG: workqueue leaked lock or atomic: kworker/0:2/0x00000001/17\n     last function: loom_work", KindBug, "BUG: workqueue leaked lock or atomic in loom_work"},
		{"BUG: workqueue leaked atomic, lock or RCU: kworker/0:2[17]\n     preempt=0x00000001 lock=0->1 RCU=0->0 workfn=loom_work", KindBug, "BUG: workqueue leaked lock or atomic in loom_work"},
		{"BUG: failure at drivers/misc/loom.c:17/loom_check()!", KindBug, "kernel BUG in loom_check"},
		{"BUG: assuming atomic context at net/core/loom.c:17", KindBug, "BUG: assuming atomic context at net/core/loom.c:17"},
		{"BUG: MAX_LOCKDEP_CHAINS too low!", KindBug, "BUG: MAX_LOCKDEP_CHAINS too low!"},
		{"WARNING: CPU: 0", KindWarning, "WARNING in loom_probe"},
		{"WARNING: CPU: 0 PID:", KindWarning, "WARNING in loom_probe"},
		{"WARNING: CPU: 0 PID: 12 at mm/util.c:597 kvmalloc_node+0x1/0x20", KindWarning, "WARNING: kmalloc bug in loom_probe"},
		{"Oops: stack segment: 0000 [#1] PREEMPT SMP", KindOops, "stack segment fault in loom_probe"},
		{"bus exception: 0000 [#1]", KindOops, "bus exception in loom_probe"},
		{"Unrecoverable exception: 4100 [#1]", KindOops, "Unrecoverable exception in loom_probe"},
		{"Kernel illegal instruction [#1]", KindOops, "Kernel illegal instruction in loom_probe"},
		{"Unable to handle kernel execution of user memory at virtual address 0000000000000000", KindOops, "BUG: unable to handle kernel paging request in loom_probe"},
		{"Unable to handle kernel pointer dereference in virtual kernel address space", KindOops, "BUG: unable to handle kernel paging request in loom_probe"},
		{"loom: page allocation failure: order:4, mode:0x40dc0(GFP_KERNEL|__GFP_COMP|__GFP_ZERO)", KindAllocFailure, "page allocation failure in loom_probe"},
		{"loom: vmalloc: allocation failure: 17179869184 bytes, mode:0x400dc0(GFP_KERNEL)", KindAllocFailure, "page allocation failure in loom_probe"},
		{"Kernel panic - not syncing: System is deadlocked on memory", KindPanic, "kernel panic: System is deadlocked on memory"},
		{"Kernel panic - not syncing: kernel stack overflow", KindPanic, "kernel stack overflow in loom_probe"},
	}
	for _, tt := range tests {
		reports := parseText(t, kernelLog(tt.header+"\n"+x86Trace))
		if len(reports) != 1 || reports[0].Kind != tt.kind || reports[0].Title != tt.title {
			t.Errorf("%s: got %v", tt.header, titles(reports))
		}
	}
}

// titles is what tests show of reports.
func titles(reports []Report) (out []string) {
	for _, r := range reports {
		out = append(out, fmt.Sprintf("%s: %s (pid %d, truncated %t)", r.Kind, r.Title, r.PID, r.Truncated))
	}
	return out
}

// TestHungTaskWithOwner checks that the stack of the lock's owner is part of
// the report and does not name it.
func TestHungTaskWithOwner(t *testing.T) {
	reports := parseText(t, kernelLog(`INFO: task loom:17 blocked for more than 143 seconds.
      Not tainted 6.16.0 #1
task:loom            state:D stack:0     pid:17
Call Trace:
 <TASK>
 __schedule+0x610/0x800
 __mutex_lock+0x10/0x20
 loom_open+0x20/0x40
 </TASK>
INFO: task loom:17 is blocked on a mutex likely owned by task weft:18.
task:weft            state:R  running task     stack:0     pid:18
Call Trace:
 <TASK>
 __schedule+0x610/0x800
 weft_spin+0x20/0x40
 </TASK>`))
	if len(reports) != 1 || reports[0].Title != "INFO: task hung in loom_open" || reports[0].Truncated {
		t.Errorf("got %v", titles(reports))
	}
	if !strings.Contains(reports[0].Text, "weft_spin") {
		t.Error("the owner's stack is not part of the report")
	}
}

// TestLeakCount checks that the line in which kmemleak counts leaks is a report
// only when the leaks themselves are not in the log.
func TestLeakCount(t *testing.T) {
	const (
		count = "[   50.000000][    T9] kmemleak: 1 new suspected memory leaks (see /sys/kernel/debug/kmemleak)\n"
		leak  = "BUG: memory leak\nunreferenced object 0xffff888012345678 (size 64):\n  comm \"loom\", pid 17, jiffies 4294942725 (age 13.180s)\n  backtrace:\n    [<00000000f64b7f4c>] kmalloc+0x10/0x20\n    [<00000000f64b7f4d>] loom_open+0x20/0x40\n\n"
		noise = "[   60.000000][    T7] loom: 17 threads\n"
	)
	tests := []struct {
		name, log string
		want      []string
	}{
		{"count alone", count + noise, []string{"memory leaks suspected"}},
		{"count before", count + noise + leak, []string{"memory leak in loom_open"}},
		{"count after", leak + noise + count, []string{"memory leak in loom_open"}},
		{"count long before", count + strings.Repeat(noise, maxSummaryGap+1) + leak, []string{"memory leaks suspected", "memory leak in loom_open"}},
		{"second count", leak + count + strings.Replace(count, "50.0", "90.0", 1), []string{"memory leak in loom_open", "memory leaks suspected"}},
	}
	for _, tt := range tests {
		var got []string
		for _, r := range parseText(t, tt.log) {
			got = append(got, r.Title)
		}
		if fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestSoftLockupOnWatchdogStack checks that the function below the interrupt is
// blamed when the trace begins in the watchdog's own timer.
func TestSoftLockupOnWatchdogStack(t *testing.T) {
	reports := parseText(t, kernelLog(`watchdog: BUG: soft lockup - CPU#2 stuck for 23s! [loom:17]
Kernel panic - not syncing: softlockup: hung tasks
CPU: 2 PID: 17 Comm: loom Not tainted 5.10.0 #1
Call Trace:
 <IRQ>
 dump_stack+0x6b/0x83
 panic+0x101/0x2d7
 watchdog_timer_fn.cold+0xc/0x16
 __hrtimer_run_queues+0x10/0x20
 hrtimer_interrupt+0x10/0x20
 sysvec_apic_timer_interrupt+0x10/0x20
 </IRQ>
 asm_sysvec_apic_timer_interrupt+0x12/0x20
RIP: 0010:loom_wait+0x10/0x20
RAX: 0000000000000000
 loom_ioctl+0x10/0x20
 do_syscall_64+0x10/0x20`))
	if len(reports) != 1 || reports[0].Title != "BUG: soft lockup in loom_ioctl" {
		t.Errorf("got %v", titles(reports))
	}
}

// TestMailedTrace checks a symbolised trace that lost its indentation.
func TestMailedTrace(t *testing.T) {
	reports := parseText(t, `BUG: KASAN: slab-use-after-free in strlen lib/string.c:420 [inline]
BUG: KASAN: slab-use-after-free in memcpy+0x1467/0x1890 mm/kasan/shadow.c:5
Read of size 8 at addr ffff888012345678 by task loom/17
CPU: 1 PID: 17 Comm: loom Not tainted 5.11.0 #0
Call Trace:
__dump_stack lib/dump_stack.c:79 [inline]
dump_stack+0x21c/0x280 lib/dump_stack.c:120
kasan_report+0xfb/0x1e0 mm/kasan/report.c:118
memcpy+0x1467/0x1890 mm/kasan/shadow.c:5
loom_copy+0x55/0x60 drivers/misc/loom.c:17
`)
	if len(reports) != 1 || reports[0].Title != "KASAN: slab-use-after-free Read in loom_copy" {
		t.Errorf("got %v", titles(reports))
	}
}

// TestTimestampInHeader prints a timestamp into the middle of headers, where
// consoles that several CPUs share put it.
func TestTimestampInHeader(t *testing.T) {
	tests := []struct{ header, title string }{
		{"BUG: kernel NULL pointer |dereference, address: 0000000000000018", "BUG: unable to handle kernel NULL pointer dereference in loom_probe"},
		{"BUG: kernel NULL poi|nter dereference, address: 0000000000000018", "BUG: unable to handle kernel NULL pointer dereference in loom_probe"},
		{"WARNING: inconsistent |lock state", "inconsistent lock state in loom_probe"},
		{"WARNING: suspicious RCU| usage", "WARNING: suspicious RCU usage in loom_probe"},
		{"BUG: soft |lockup - CPU#1 stuck for 48s! [loom:1043]", "BUG: soft lockup in loom_probe"},
		{"BUG: KASAN: |use-after-free in loom_read+0x1/0x20", "KASAN: use-after-free in loom_read"},
		{"WARNING: CPU: 0 PID: 44 at drivers/misc/loom.c:77 |loom_step+0x1f/0x40", "WARNING in loom_step"},
		// The first part is a header of its own, the second another message.
		{"BUG: Bad rss-counter state mm:00000000deadbeef idx:1 val:3|usb 1-1: new device", "BUG: Bad rss-counter state"},
	}
	for _, tt := range tests {
		header := strings.Replace(tt.header, "|", "[  100.000001] ", 1)
		reports := parseText(t, kernelLog(header+"\n"+x86Trace))
		if len(reports) != 1 || reports[0].Title != tt.title {
			t.Errorf("%s: got %v", header, titles(reports))
		}
	}
}

// TestLowSeverity checks that what a reader does not see by default is what the
// kernel survives without harm to itself, and nothing else.
func TestLowSeverity(t *testing.T) {
	low := map[Kind]bool{KindFilesystem: true, KindIO: true, KindOOM: true, KindSegfault: true, KindAllocFailure: true, KindMachineCheck: true}
	for _, r := range kernelRules().rules {
		if !r.ignore && !r.noise && low[r.kind] != (r.sev == SeverityLow) {
			t.Errorf("%s: a %s of %s severity", r.pattern, r.kind, r.sev)
		}
	}
}

// TestTraceOfNoReport puts the stack dump of an injected fault after headers,
// to which it does not belong.
func TestTraceOfNoReport(t *testing.T) {
	const injected = "FAULT_INJECTION: forcing a failure.\nname failslab, interval 1, probability 0, space 0, times 1\n" + x86Trace
	tests := []struct {
		name, log string
		want      []string
	}{
		{"alone", injected, nil},
		{"does not prove a warning", "WARNING: loom needs oil\n" + injected, nil},
		{"is not the trace of a fault", "BUG: unable to handle kernel paging request at ffffdead00000000\n" + injected,
			[]string{"BUG: unable to handle kernel paging request"}},
		{"comes before a report", injected + "\nBUG: sleeping function called from invalid context at mm/loom.c:17\n" + strings.ReplaceAll(x86Trace, "loom_probe", "loom_sleep"),
			[]string{"BUG: sleeping function called from invalid context in loom_sleep"}},
		{"between a header and its trace", "WARNING: CPU: 0 PID: 11 at drivers/misc/warp.c:17 warp_check+0x20/0x40\n" + injected + "\n" + warp[1],
			[]string{"WARNING in warp_check"}},
	}
	for _, tt := range tests {
		var got []string
		for _, r := range parseText(t, kernelLog(tt.log)) {
			got = append(got, r.Title)
		}
		if fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestStallBelowInterrupt checks for several architectures that the function
// below the timer interrupt is blamed.
func TestStallBelowInterrupt(t *testing.T) {
	tests := []struct{ name, trace string }{
		{"arm", `[<80111aa4>] (rcu_sched_clock_irq) from [<80193e4c>] (update_process_times+0x30/0x5c)
[<80193e4c>] (update_process_times) from [<801a4b00>] (tick_sched_timer+0x4c/0x98)
[<801a4b00>] (tick_sched_timer) from [<80100b0c>] (__irq_svc+0x6c/0x90)
[<80100b0c>] (__irq_svc) from [<7f000020>] (loom_spin+0x20/0x40)
[<7f000020>] (loom_spin) from [<7f000060>] (loom_work+0x60/0x80)
[<7f000060>] (loom_work) from [<80140000>] (process_one_work+0x200/0x500)`},
		{"arm64", ` rcu_sched_clock_irq+0x10/0x20
 el1h_64_irq+0x64/0x68
 loom_spin+0x20/0x40
 loom_work+0x60/0x80
 process_one_work+0x200/0x500`},
		{"powerpc", `[c000000003a77a90] [c0000000010a8dd8] rcu_sched_clock_irq+0x10/0x20
[c000000003a77b90] [c000000000008dd8] decrementer_common_virt+0x208/0x210
[c000000003a77c90] [c008000000a80020] loom_spin+0x20/0x40
[c000000003a77d90] [c008000000a80060] loom_work+0x60/0x80
[c000000003a77e90] [c000000000170000] process_one_work+0x200/0x500`},
	}
	for _, tt := range tests {
		reports := parseText(t, kernelLog("rcu: INFO: rcu_sched self-detected stall on CPU\nCPU: 0 PID: 17 Comm: kworker/0:1 Not tainted 6.1.0 #1\nCall trace:\n"+tt.trace))
		if len(reports) != 1 || reports[0].Title != "INFO: rcu detected stall in loom_work" {
			t.Errorf("%s: got %v", tt.name, titles(reports))
		}
	}
}
