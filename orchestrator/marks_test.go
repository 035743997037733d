package orchestrator

import (
	"strings"
	"testing"
)

const testNonce = "0123456789abcdef"

func testLog(lines ...string) []byte {
	return []byte(strings.ReplaceAll(strings.Join(lines, "\r\n")+"\r\n", "NONCE", testNonce))
}

func TestPhaseWindows(t *testing.T) {
	log := testLog(
		"[    0.000000] Command line: console=ttyS0 patchproof.nonce=NONCE quiet",
		"[    1.000000] patchproof NONCE canary begin",
		"[    1.100000] patchproof NONCE ready",
		"[    1.200000] patchproof NONCE phase 0 begin mkfs",
		"[    1.300000] first",
		"[    1.400000] patchproof NONCE phase 0 end mkfs",
		"[    1.450000] between",
		"[    1.500000] patchproof NONCE phase 1 begin umount again",
		"[    1.600000] second",
		"[    1.700000] patchproof ffffffffffffffff phase 2 begin forged",
		"[    1.800000] patchproof NONCE canary end",
		"[    1.900000] late",
	)
	windows := phaseWindows(findMarks(log, testNonce))
	if len(windows) != 2 || windows[0].name != "mkfs" || windows[1].name != "umount again" {
		t.Fatalf("windows = %+v", windows)
	}
	if windows[1].end < 0 {
		t.Errorf("the end canary leaves the last phase open: %+v", windows[1])
	}
	for text, want := range map[string]string{
		"Command line": "boot", "ready": "boot", "first": "mkfs", "between": "mkfs",
		"second": "umount again", "late": "umount again",
	} {
		if _, got := phaseAt(windows, int64(strings.Index(string(log), text))); got != want {
			t.Errorf("%q lies in %q, want %q", text, got, want)
		}
	}
	if got := string(log[windows[0].start:])[:20]; got != "[    1.200000] patch" {
		t.Errorf("a window starts at %q, not at its line", got)
	}
}

func TestPhaseCutShort(t *testing.T) {
	windows := phaseWindows(findMarks(testLog(
		"patchproof NONCE canary begin",
		"patchproof NONCE phase 0 begin run",
		"Kernel panic - not syncing"), testNonce))
	if len(windows) != 1 || windows[0].end != -1 {
		t.Errorf("windows = %+v, want one that is open", windows)
	}
}

func TestCanaries(t *testing.T) {
	for _, tt := range []struct {
		name       string
		lines      []string
		begin, end bool
	}{
		{"whole", []string{"canary begin", "ready", "canary end"}, true, true},
		{"cut", []string{"canary begin", "ready"}, true, false},
		{"start lost", []string{"ready", "canary end"}, false, false},
		{"end is not the last", []string{"canary begin", "canary end", "phase 9 begin x"}, true, false},
		{"another guest's", nil, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var lines []string
			for _, l := range tt.lines {
				lines = append(lines, "<4>[    1.0] patchproof NONCE "+l)
			}
			lines = append(lines, "[    2.0] patchproof ffffffffffffffff canary begin")
			begin, end := canaries(findMarks(testLog(lines...), testNonce))
			if begin != tt.begin || end != tt.end {
				t.Errorf("canaries = %v, %v, want %v, %v", begin, end, tt.begin, tt.end)
			}
		})
	}
}

func FuzzMarks(f *testing.F) {
	f.Add(testLog("patchproof NONCE phase 1 begin a", "patchproof NONCE phase x end"))
	f.Fuzz(func(t *testing.T, log []byte) {
		last := int64(-1)
		for _, w := range phaseWindows(findMarks(log, testNonce)) {
			if w.start < last || w.start > int64(len(log)) || (w.end >= 0 && w.end < w.start) {
				t.Fatalf("window %+v in a log of %d bytes", w, len(log))
			}
			last = w.start
		}
	})
}

// TestMessagesDropped: a log that the kernel says is not whole can lack a report.
func TestMessagesDropped(t *testing.T) {
	const dropped = "** 93 printk messages dropped ** [    1.5] btrfs: x"
	for _, tt := range []struct {
		name  string
		lines []string
		want  bool
	}{
		{"whole", []string{"patchproof NONCE canary begin", "a", "patchproof NONCE canary end"}, false},
		{"while booting", []string{dropped, "patchproof NONCE canary begin", "patchproof NONCE canary end"}, false},
		{"in a phase", []string{"patchproof NONCE canary begin", dropped, "patchproof NONCE canary end"}, true},
		{"at power-off", []string{"patchproof NONCE canary begin", "patchproof NONCE canary end", dropped}, true},
		{"words alone", []string{"patchproof NONCE canary begin", "x: printk messages dropped", "patchproof NONCE canary end"}, false},
	} {
		log := testLog(tt.lines...)
		if got := messagesDropped(log, findMarks(log, testNonce)); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
