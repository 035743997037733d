package dmesg

import (
	"fmt"
	"strings"
	"testing"
)

// Two reports as two CPUs print them, each in two parts: the header, and what
// comes with and after the line that names CPU and task.
var (
	warp = [2]string{`WARNING: CPU: 0 PID: 11 at drivers/misc/warp.c:17 warp_check+0x20/0x40
Modules linked in:`, `CPU: 0 PID: 11 Comm: warp Not tainted 4.14.0 #1
RIP: 0010:warp_check+0x20/0x40
Call Trace:
 warp_ioctl+0x10/0x20
---[ end trace 8c1f54a2b0d9e7e1 ]---`}
	weft = [2]string{`BUG: unable to handle kernel paging request at ffffdead00000000
IP: weft_next+0x20/0x40
Oops: 0000 [#1] SMP
Modules linked in:`, `CPU: 1 PID: 22 Comm: weft Not tainted 4.14.0 #1
RIP: 0010:weft_next+0x20/0x40
Call Trace:
 weft_read+0x10/0x20
---[ end trace 8c1f54a2b0d9e7e2 ]---`}
	comb = [2]string{`general protection fault: 0000 [#1] SMP
Modules linked in:`, `CPU: 0 PID: 33 Comm: comb Not tainted 4.14.0 #1
RIP: 0010:comb_free+0x20/0x40
Call Trace:
 comb_release+0x10/0x20
---[ end trace 8c1f54a2b0d9e7e3 ]---`}
)

// TestTurns interleaves reports of a kernel that prints no caller ids.
func TestTurns(t *testing.T) {
	const (
		warning = "WARNING in warp_check"
		fault   = "BUG: unable to handle kernel paging request in weft_next"
		gpf     = "general protection fault in comb_free"
	)
	tests := []struct {
		name  string
		parts []string
		want  []string
		last  []string // the last frame of each trace
	}{
		{"in turn", []string{warp[0], warp[1], weft[0], weft[1]}, []string{warning, fault}, []string{"warp_ioctl", "weft_read"}},
		{"both headers first", []string{warp[0], weft[0], warp[1], weft[1]}, []string{warning, fault}, []string{"warp_ioctl", "weft_read"}},
		{"both headers first, the other order", []string{warp[0], weft[0], weft[1], warp[1]}, []string{warning, fault}, []string{"warp_ioctl", "weft_read"}},
		{"task of the first unknown", []string{comb[0], warp[0], comb[1], warp[1]}, []string{gpf, warning}, []string{"comb_release", "warp_ioctl"}},
		{"task of the first unknown, the other order", []string{comb[0], warp[0], warp[1], comb[1]}, []string{gpf, warning}, []string{"comb_release", "warp_ioctl"}},
	}
	for _, tt := range tests {
		var got, last []string
		for _, r := range parseText(t, kernelLog(strings.Join(tt.parts, "\n"))) {
			got = append(got, r.Title)
			last = append(last, r.Trace[len(r.Trace)-1].Function)
			if r.Truncated {
				t.Errorf("%s: %s is marked truncated", tt.name, r.Title)
			}
		}
		if fmt.Sprint(got, last) != fmt.Sprint(tt.want, tt.last) {
			t.Errorf("%s: got %q %q, want %q %q", tt.name, got, last, tt.want, tt.last)
		}
	}
}

// TestSecondHeaderOfWaiting checks that "Oops: 0000 [#1]" goes to the page fault
// that waits for it and not to the report between them.
func TestSecondHeaderOfWaiting(t *testing.T) {
	first, second, _ := strings.Cut(weft[0], "\nOops")
	reports := parseText(t, kernelLog(strings.Join([]string{first, warp[0], warp[1], "Oops" + second, weft[1]}, "\n")))
	if len(reports) != 2 || reports[0].Title != "BUG: unable to handle kernel paging request in weft_next" ||
		reports[1].Title != "WARNING in warp_check" {
		t.Errorf("got %v", titles(reports))
	}
}

// TestWaitingEnds checks that a report which never gets its turn does not wait
// for ever.
func TestWaitingEnds(t *testing.T) {
	var got []string
	p := NewParser(func(r Report) { got = append(got, r.Title) })
	log := kernelLog(comb[0] + "\n" + warp[0] + "\n" + warp[1] + strings.Repeat("\nloom: 17 threads", maxBlockGap+1))
	fmt.Fprint(p, log)
	if want := []string{"general protection fault", "WARNING in warp_check"}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("before the end of the log: got %q, want %q", got, want)
	}
}

// TestCutHereWhileWaiting resumes a report while another has no header yet.
func TestCutHereWhileWaiting(t *testing.T) {
	reports := parseText(t, kernelLog(strings.Join([]string{warp[0], "------------[ cut here ]------------", warp[1], weft[0], weft[1]}, "\n")))
	if len(reports) != 2 || reports[0].Title != "WARNING in warp_check" || reports[0].Truncated ||
		reports[1].Title != "BUG: unable to handle kernel paging request in weft_next" {
		t.Errorf("got %v", titles(reports))
	}
}
