package dmesg

import (
	"fmt"
	"strings"
	"testing"
)

// alternate prints texts line by line in turn, after the first lines of the first.
func alternate(lead int, a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	out := append([]string{}, x[:lead]...)
	for x = x[lead:]; len(x)+len(y) > 0; {
		if len(x) > 0 {
			out, x = append(out, x[0]), x[1:]
		}
		if len(y) > 0 {
			out, y = append(out, y[0]), y[1:]
		}
	}
	return strings.Join(out, "\n")
}

// Reports of two CPUs that take turns; loomBug names no task in its header.
const (
	loomBug = `kernel BUG at drivers/misc/loom.c:17!
invalid opcode: 0000 [#2] SMP
CPU: 1 PID: 44 Comm: loom Not tainted 4.14.0 #1
Hardware name: QEMU
RIP: 0010:loom_throw+0x20/0x40
RAX: 0000000000000000 RBX: 0000000000000000
Call Trace:
 loom_poll+0x10/0x20
 loom_run+0x10/0x20
---[ end trace 8c1f54a2b0d9e7e4 ]---`
	napSleep = `BUG: sleeping function called from invalid context at mm/nap.h:17
in_atomic(): 1, irqs_disabled(): 0, pid: 55, name: nap
CPU: 0 PID: 55 Comm: nap Not tainted 4.14.0 #1
Call Trace:
 dump_stack+0x10/0x20
 ___might_sleep+0x10/0x20
 nap_take+0x10/0x20
 nap_ioctl+0x10/0x20
 nap_entry+0x10/0x20`
)

// TestBraid interleaves the lines of two reports that have no caller ids.
func TestBraid(t *testing.T) {
	const (
		warning = "WARNING in warp_check"
		fault   = "BUG: unable to handle kernel paging request in weft_next"
		gpf     = "general protection fault in comb_free"
		bug     = "kernel BUG in loom_throw"
		sleep   = "BUG: sleeping function called from invalid context in nap_take"
	)
	warp, weft, comb := strings.Join(warp[:], "\n"), strings.Join(weft[:], "\n"), strings.Join(comb[:], "\n")
	reedBug := strings.NewReplacer("loom", "reed", "44", "66").Replace(loomBug)
	warpLines, weftLines := strings.Count(warp, "\n"), strings.Count(weft, "\n")
	tests := []struct {
		name, log string
		want      []string
		last      []string
	}{
		{"both name a task", alternate(0, warp, napSleep), []string{warning, sleep}, []string{"warp_ioctl", "nap_entry"}},
		{"one names a task", alternate(0, warp, weft), []string{warning, fault}, []string{"warp_ioctl", "weft_read"}},
		{"neither names a task", alternate(0, loomBug, reedBug), []string{bug, "kernel BUG in reed_throw"}, []string{"loom_run", "reed_run"}},
		{"one is ahead", alternate(4, loomBug, napSleep), []string{bug, sleep}, []string{"loom_run", "nap_entry"}},
		{"a header in the trace", alternate(warpLines-1, warp, weft), []string{warning, fault}, []string{"warp_ioctl", "weft_read"}},
		{"one fault holds the other up", comb[:strings.Index(comb, "\n")] + "\nkernel BUG at drivers/misc/loom.c:17!" + comb[strings.Index(comb, "\n"):] + loomBug[strings.Index(loomBug, "\n"):],
			[]string{gpf, bug}, []string{"comb_release", "loom_run"}},
		{"the first is cut off", weft[:strings.LastIndex(weft, "\n")] + "\n" + loomBug, []string{fault, bug}, []string{"weft_read", "loom_run"}},
	}
	if weftLines < 4 {
		t.Fatal("the report is too short to be cut off")
	}
	for _, tt := range tests {
		var got, last []string
		for _, r := range parseText(t, kernelLog(tt.log)) {
			got = append(got, r.Title)
			if n := len(r.Trace); n > 0 {
				last = append(last, r.Trace[n-1].Function)
			}
		}
		if fmt.Sprint(got, last) != fmt.Sprint(tt.want, tt.last) {
			t.Errorf("%s: got %q %q, want %q %q", tt.name, got, last, tt.want, tt.last)
		}
	}
}

// TestHeaderInTwoMessages breaks headers at the bar.
func TestHeaderInTwoMessages(t *testing.T) {
	tests := []struct{ header, title string }{
		{"BUG: unable to handle kernel |NULL pointer dereference at 0000000000000018", "BUG: unable to handle kernel NULL pointer dereference in loom_probe"},
		{"BUG: KAS|AN: use-after-free in loom_read+0x1/0x20", "KASAN: use-after-free in loom_read"},
		{"BUG: KASAN: use-after-free in loom_r|ead+0x1/0x20", "KASAN: use-after-free in loom_read"},
		{"BUG: KASAN: use-after-free in| loom_read+0x1/0x20", "KASAN: use-after-free in loom_read"},
		{"WARNING: CPU: 0 PID: 44 at drivers/misc/lo|om.c:77 loom_step+0x1f/0x40", "WARNING in loom_step"},
		{"WARNING: suspicious| RCU usage", "WARNING: suspicious RCU usage in loom_probe"},
		{"UBSAN:| shift-out-of-bounds in drivers/misc/loom.c:77:3", "UBSAN: shift-out-of-bounds in loom_probe"},
		{"kernel BUG |at drivers/misc/loom.c:77!", "kernel BUG in loom_probe"},
		{"general protection fau|lt: 0000 [#1] SMP", "Oops in loom_probe"},
		{"INFO: task loom:17 blo|cked for more than 120 seconds.", "INFO: task hung in loom_probe"},
		// A whole header; the next message is another one's.
		{"WARNING: CPU: 0 PID: 44 at drivers/misc/loom.c:77 loom_step+0x1f/0x40|loom: 17 threads", "WARNING in loom_step"},
		{"BUG: KMSAN: uninit-value in loom_read|loom: 17 threads", "KMSAN: uninit-value in loom_read"},
	}
	for _, tt := range tests {
		reports := parseText(t, kernelLog(strings.Replace(tt.header, "|", "\n", 1)+"\n"+x86Trace))
		if len(reports) != 1 || reports[0].Title != tt.title {
			t.Errorf("%s: got %v", tt.header, titles(reports))
		}
	}
}

// TestTwoHeadersOfOneReport checks what the kernel prints in two parts, each of
// which looks like a header.
func TestTwoHeadersOfOneReport(t *testing.T) {
	const cut = "------------[ cut here ]------------\n"
	tests := []struct{ name, log, title string }{
		{"hard lockup of 3.x", cut + "WARNING: at kernel/watchdog.c:246 watchdog_overflow_callback+0x9a/0xc0()\nWatchdog detected hard LOCKUP on cpu 6\n" + x86Trace, "hard lockup in loom_probe"},
		{"message of a WARN()", cut + "BUG: Dentry 0000000017171717{i=1a,n=loom}  still in use (1) [unmount of ramfs ramfs]\nWARNING: CPU: 1 PID: 4321 at fs/dcache.c:1511 umount_check+0x1/0x20\n" + x86Trace, "BUG: Dentry still in use"},
		{"inlined part of a symbolised header", cut + "WARNING: CPU: 1 PID: 4321 at include/linux/loom.h:17 loom_a include/linux/loom.h:17 [inline]\nWARNING: CPU: 1 PID: 4321 at include/linux/loom.h:17 loom_b+0x1/0x20 drivers/misc/loom.c:17\n" + x86Trace, "WARNING in loom_b"},
		{"SLUB of 4.x", "BUG loom-128 (Tainted: G    B            ): Redzone overwritten\nINFO: 0x0000000017171717-0x0000000017171717. First byte 0x0 instead of 0xcc\n" + x86Trace, "BUG: Redzone overwritten in loom_probe"},
		{"double fault", "PANIC: double fault, error_code: 0x0\n" + x86Trace + "\nKernel panic - not syncing: Machine halted.", "PANIC: double fault in loom_probe"},
		{"registers before the panic", weft[0] + "\n" + weft[1] + strings.Repeat("\nR10: 0000000000000000", 14) + "\nKernel panic - not syncing: Oops: Fatal exception", "BUG: unable to handle kernel paging request in weft_next"},
		{"mips", "Kernel bug detected[#1]:\n" + x86Trace, "kernel BUG in loom_probe"},
		{"powerpc", "watchdog: CPU 4 self-detected hard LOCKUP @ loom_probe+0x20/0x60\n" + x86Trace, "hard lockup in loom_probe"},
	}
	for _, tt := range tests {
		reports := parseText(t, kernelLog(tt.log))
		if len(reports) != 1 || reports[0].Title != tt.title {
			t.Errorf("%s: got %v", tt.name, titles(reports))
		}
	}
}
