package dmesg

import (
	"bytes"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

// TestStreaming checks that reports do not depend on how a log is cut into
// writes.
func TestStreaming(t *testing.T) {
	logs, err := filepath.Glob("testdata/*.log")
	if err != nil || len(logs) == 0 {
		t.Fatal("no logs", err)
	}
	for _, path := range logs {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := Parse(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		bytewise, err := Parse(iotest.OneByteReader(bytes.NewReader(data)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(golden(whole), golden(bytewise)) {
			t.Errorf("%s: one byte at a time gives other reports", path)
		}
	}
}

func TestReaderErrorKeepsReports(t *testing.T) {
	log := "[    1.000000] BUG: Bad rss-counter state mm:00000000deadbeef idx:1 val:3\n"
	reports, err := Parse(iotest.TimeoutReader(iotest.HalfReader(strings.NewReader(log + strings.Repeat("x\n", 100000)))))
	if err == nil || len(reports) != 1 {
		t.Errorf("got %d reports and error %v", len(reports), err)
	}
}

// TestEndlessLine checks that a line without end is cut at the limit and that
// offsets after it are right.
func TestEndlessLine(t *testing.T) {
	var reports []Report
	p := NewParser(func(r Report) { reports = append(reports, r) })
	chunk := bytes.Repeat([]byte("no newline "), 1000)
	total := int64(0)
	for range 2000 {
		p.Write(chunk)
		total += int64(len(chunk))
	}
	if cap(p.line) > 4*defaultMaxLine {
		t.Errorf("the parser holds %d bytes of one line", cap(p.line))
	}
	header := "\n[    1.000000] BUG: Bad rss-counter state mm:00000000deadbeef idx:1 val:3\n"
	p.Write([]byte(header))
	p.Close()
	if len(reports) != 1 || reports[0].Start != total+1 || reports[0].End != total+int64(len(header)) {
		t.Errorf("after %d bytes got %+v", total, reports)
	}
}

// TestBoundedBlock checks that a report that never ends is closed.
func TestBoundedBlock(t *testing.T) {
	var b strings.Builder
	b.WriteString("[    1.000000] INFO: task a:1 blocked for more than 120 seconds.\n[    1.000000] Call Trace:\n")
	for i := 0; i < 3*maxBlockLines; i++ {
		fmt.Fprintf(&b, "[    1.000000]  spin_%d+0x1/0x2\n", i)
	}
	reports, err := Parse(strings.NewReader(b.String()))
	if err != nil || len(reports) != 1 {
		t.Fatalf("%d reports, %v", len(reports), err)
	}
	if len(reports[0].Text) > defaultMaxText || len(reports[0].Trace) > maxBlockItems {
		t.Errorf("text %d bytes, %d frames", len(reports[0].Text), len(reports[0].Trace))
	}
}

func TestManyOpenReports(t *testing.T) {
	var b strings.Builder
	n := 5 * maxOpen
	for i := range n {
		fmt.Fprintf(&b, "[    1.%06d][ T%d] WARNING: CPU: 0 PID: %d at a/b.c:1 f%d+0x1/0x2\n", i, i+1, i+1, i)
	}
	reports, err := Parse(strings.NewReader(b.String()))
	if err != nil || len(reports) != n {
		t.Errorf("%d reports of %d, %v", len(reports), n, err)
	}
}

func TestFlush(t *testing.T) {
	var reports []Report
	p := NewParser(func(r Report) { reports = append(reports, r) })
	p.Write([]byte("[    1.000000] INFO: task a:1 blocked for more than 120 seconds.\n[    1.000000] Call Trace:\n[    1.000000]  quilt_lock_all+0x1/0x2\n[    1.0000"))
	if len(reports) != 0 {
		t.Fatalf("emitted too early: %+v", reports)
	}
	p.Flush()
	if len(reports) != 1 {
		t.Fatalf("%d reports after Flush", len(reports))
	}
	p.Write([]byte("01] BUG: Bad rss-counter state mm:00000000deadbeef idx:1 val:3\n"))
	p.Close()
	if len(reports) != 2 || reports[1].Start != reports[0].End {
		t.Errorf("after Flush: %+v", reports)
	}
}

func TestStackAfterTheEndIsNotPart(t *testing.T) {
	log := "[    1.000000] WARNING: CPU: 0 PID: 1 at a/b.c:1 f+0x1/0x2\n[    1.000000] Call Trace:\n[    1.000000]  g+0x1/0x2\n[    1.000001] ---[ end trace 0000000000000000 ]---\n"
	rest := "[    1.000002] RAX: 0000000000000000 RBX: 0000000000000001 RCX: 0000000000000002\n[    1.000003] Call Trace:\n[    1.000004]  other+0x1/0x2\n"
	reports, err := Parse(strings.NewReader(log + rest))
	if err != nil || len(reports) != 1 {
		t.Fatalf("got %+v, %v", reports, err)
	}
	if end := int64(len(log) + strings.Index(rest, "\n") + 1); reports[0].End != end || len(reports[0].Trace) != 1 {
		t.Errorf("the report ends at %d, not %d, with %v", reports[0].End, end, reports[0].Trace)
	}
}

func TestMinSeverityStillTaints(t *testing.T) {
	log := "[    1.000000] WARNING: CPU: 0 PID: 1 at a/b.c:1 f+0x1/0x2\n[    1.000001] ---[ end trace 0000000000000000 ]---\n" +
		"[    2.000000] BUG: Bad rss-counter state mm:00000000deadbeef idx:1 val:3\n"
	reports, err := Parse(strings.NewReader(log), WithMinSeverity(SeverityHigh))
	if err != nil || len(reports) != 1 || !reports[0].FollowUp {
		t.Errorf("got %+v, %v", reports, err)
	}
}

func TestHarnessLinesAreNoReports(t *testing.T) {
	log := strings.Repeat("[    1.234567] patchproof 0011223344556677 phase 2 begin mount\n[    1.234999] patchproof 0011223344556677 fatal no-network\n", 10)
	if reports, err := Parse(strings.NewReader(log)); err != nil || len(reports) != 0 {
		t.Errorf("got %+v, %v", reports, err)
	}
}

// TestFingerprintIsStable prints the same event as two builds on two machines
// would.
func TestFingerprintIsStable(t *testing.T) {
	a := "[    1.000000] BUG: unable to handle page fault for address: ffff888012345678\n[    1.000001] CPU: 0 PID: 12 Comm: a Not tainted 6.1.0 #1\n[    1.000002] RIP: 0010:walk+0x12/0x40\n[    1.000003] ---[ end trace 0000000000000000 ]---\n"
	b := "[   99.000000][   T77] BUG: unable to handle page fault for address: ffffc90000000018\n[   99.000001][   T77] CPU: 3 PID: 77 Comm: b Tainted: G        W         6.1.9 #2\n[   99.000002][   T77] RIP: 0010:walk.isra.0+0x31/0x90\n[   99.000003][   T77] ---[ end trace 0000000000000000 ]---\n"
	c := strings.ReplaceAll(a, "walk", "other")
	fp := func(log string) string {
		reports, err := Parse(strings.NewReader(log))
		if err != nil || len(reports) != 1 {
			t.Fatalf("%d reports, %v", len(reports), err)
		}
		return reports[0].Fingerprint
	}
	if fp(a) != fp(b) {
		t.Error("the same event has two fingerprints")
	}
	if fp(a) == fp(c) {
		t.Error("two events have one fingerprint")
	}
}

func FuzzParse(f *testing.F) {
	logs, _ := filepath.Glob("testdata/*.log")
	for _, path := range logs {
		if data, err := os.ReadFile(path); err == nil && len(data) < 8000 {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, log []byte) {
		reports, err := Parse(bytes.NewReader(log))
		if err != nil {
			t.Fatal(err)
		}
		checkInvariants(t, log, reports)
		WriteText(&bytes.Buffer{}, reports, TextOptions{MaxFrames: 4})
	})
}

// plainLog makes a log without reports of about n bytes.
func plainLog(n int) []byte {
	words := []string{"usb 1-1: new high-speed USB device number 4 using xhci_hcd", "EXT4-fs (vda1): mounted filesystem with ordered data mode. Quota mode: none.",
		"pci 0000:00:1f.2: reg 0x24: [mem 0xfebd1000-0xfebd1fff]", "systemd[1]: Started Network Time Synchronization.", "audit: type=1400 audit(1700000000.1:5): apparmor=\"STATUS\"",
		"clocksource: tsc: mask: 0xffffffffffffffff max_cycles: 0x1cd42e4dffb", "input: AT Translated Set 2 keyboard as /devices/platform/i8042/serio0/input/input1", "lock debugging and block size information only"}
	r := rand.New(rand.NewSource(1))
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "[%5d.%06d] %s\n", i/1000, i%1000*7, words[r.Intn(len(words))])
	}
	return b.Bytes()
}

// BenchmarkPlain shows linear time: MB/s must not depend on the size.
func BenchmarkPlain(b *testing.B) {
	for _, mb := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("%dMB", mb), func(b *testing.B) {
			log := plainLog(mb << 20)
			b.SetBytes(int64(len(log)))
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				if reports, _ := Parse(bytes.NewReader(log)); len(reports) != 0 {
					b.Fatal(reports[0].Title)
				}
			}
		})
	}
}

// BenchmarkReports is a log of nothing but reports.
func BenchmarkReports(b *testing.B) {
	one, err := os.ReadFile("testdata/warning-6.1-two-in-umount.log")
	if err != nil {
		b.Fatal(err)
	}
	for _, mb := range []int{1, 10} {
		b.Run(fmt.Sprintf("%dMB", mb), func(b *testing.B) {
			var log []byte
			for i := 0; len(log) < mb<<20; i++ {
				log = append(log, bytes.ReplaceAll(one, []byte("[   42."), fmt.Appendf(nil, "[%5d.", i+42))...)
			}
			b.SetBytes(int64(len(log)))
			b.ResetTimer()
			for range b.N {
				if reports, _ := Parse(bytes.NewReader(log)); len(reports) < 2 {
					b.Fatal("no reports")
				}
			}
		})
	}
}
