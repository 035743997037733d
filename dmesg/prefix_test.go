package dmesg

import "testing"

func TestRarePrefixes(t *testing.T) {
	tests := []struct {
		line, body string
		from       caller
		time       float64
		program    bool
	}{
		{"<4>[   12.345678]  (4)[3012:Render Thread] x", " (4)[3012:Render Thread] x", caller{}, 12.345678, false},
		{"<4>[   12.345678]  (4)[3012:RenderThread] BUG: x", "BUG: x", caller{'T', 3012}, 12.345678, false},
		{"[   12.345678] c1   2208 BUG: x", "BUG: x", caller{'T', 2208}, 12.345678, false},
		{"[   12.345678] c1 is no CPU", "c1 is no CPU", caller{}, 12.345678, false},
		{"4,501,12345678,-;BUG: x", "BUG: x", caller{}, 12.345678, false},
		{"4,501,12345678,-,caller=C3; loom+0x1/0x2", " loom+0x1/0x2", caller{'C', 3}, 12.345678, false},
		{"4,501,12345678 of them; x", "4,501,12345678 of them; x", caller{}, 0, false},
		{"[  +0.000012] BUG: x", "BUG: x", caller{}, 0, false},
		{"[Nov 3 12:00] BUG: x", "BUG: x", caller{}, 0, false},
		{"1699012800.123456 host kernel: BUG: x", "BUG: x", caller{}, 0, false},
		{"Nov  3 12:00:01 host sshd[17]: BUG: x", "Nov  3 12:00:01 host sshd[17]: BUG: x", caller{}, 0, true},
		{"2023-11-03T12:00:01.123456+00:00 host loom@1.service[17]: BUG: x", "host loom@1.service[17]: BUG: x", caller{}, 0, true},
		{"Nov  3 12:00:01 host kernel: BUG: x", "BUG: x", caller{}, 0, false},
	}
	for _, tt := range tests {
		l := splitLine([]byte(tt.line), nil)[0]
		if string(l.body) != tt.body || l.from != tt.from || l.time != tt.time || l.program != tt.program {
			t.Errorf("%q: got %q from %v at %v, program %t", tt.line, l.body, l.from, l.time, l.program)
		}
	}
}

// TestLookAlikes checks lines that talk of reports and are none, in a log whose
// kernel lines have timestamps.
func TestLookAlikes(t *testing.T) {
	const boot = "loom: 1\nloom: 2\nloom: 3\nloom: 4\nloom: 5\n"
	for _, line := range []string{
		"general protection fault, the film",
		"BUG: KASAN: use-after-free in the news",
		"BUG: unable to handle 12 files",
		"Kernel panic - not syncing: a poem",
		"Nov  3 12:00:01 host reader[17]: kernel BUG at mm/loom.c:17!",
		"[   50.000000] loom: starting test (echo \"WARNING: at mm/loom.c:17 loom+0x1/0x2\")",
		"[   50.000000] audit: comm=\"BUG: KASAN: use-after-free in loom\"",
		"[   50.000000] Kernel panic timeout set to 5",
		"[   50.000000] watching for kernel BUG at night, as always",
		"[   50.000000] Alignment trap: loom (17) PC=0x00010a2c Instr=0xe5912000 Address=0x0002f00d FSR 0x011",
		"[   50.000000] INFO: lockdep is turned off.",
	} {
		if reports := parseText(t, kernelLog(boot)+line+"\n"+kernelLog(boot)); len(reports) > 0 {
			t.Errorf("%s: got %v", line, titles(reports))
		}
	}
}

// TestLostTimestamp checks that a header which lost its timestamp is believed
// when a trace follows.
func TestLostTimestamp(t *testing.T) {
	const boot = "loom: 1\nloom: 2\nloom: 3\nloom: 4\nloom: 5\n"
	reports := parseText(t, kernelLog(boot)+"0.000123] BUG: unable to handle kernel paging request at ffffdead00000000\n"+kernelLog(x86Trace))
	if len(reports) != 1 || reports[0].Title != "BUG: unable to handle kernel paging request in loom_probe" {
		t.Errorf("got %v", titles(reports))
	}
}
