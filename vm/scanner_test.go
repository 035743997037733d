package vm

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

const testNonce = "0123456789abcdef"

func scan(chunks ...string) (events []event, s *scanner) {
	s = newScanner(testNonce, func(e event) { events = append(events, e) })
	for _, c := range chunks {
		_, _ = s.Write([]byte(c))
	}
	return events, s
}

func TestScanner(t *testing.T) {
	const mark = "patchproof " + testNonce
	for _, test := range []struct {
		name  string
		input []string
		want  []event
	}{
		{"plain", []string{mark + " ready\r\n"}, []event{{eventProtocol, "ready"}}},
		{"time stamp", []string{"[    1.038558] " + mark + " canary begin\r\n"}, []event{{eventProtocol, "canary begin"}}},
		{"in pieces", []string{"[  1.0] patchpr", "oof " + testNonce + " ph", "ase 3 end mkfs", "\r", "\n"}, []event{{eventProtocol, "phase 3 end mkfs"}}},
		{"after other output", []string{"login: [  1.0] " + mark + " fatal no-network\n"}, []event{{eventProtocol, "fatal no-network"}}},
		{"command line is not the protocol", []string{"Command line: console=ttyS0 patchproof.nonce=" + testNonce + " ready\n"}, nil},
		{"other nonce", []string{"patchproof ffffffffffffffff ready\n"}, nil},
		{"line without end", []string{mark + " ready"}, nil},
		{"panic", []string{"[    0.9] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\r\n"},
			[]event{{eventPanic, "VFS: Unable to mount root fs on unknown-block(0,0)"}}},
		{"panic with caller", []string{"[    0.9][    T1] Kernel panic - not syncing: Fatal exception\n"}, []event{{eventPanic, "Fatal exception"}}},
		{"quoted panic", []string{"[    0.9] grep: Kernel panic - not syncing: no\n"}, nil},
		{"end of panic", []string{"[    0.9] ---[ end Kernel panic - not syncing: Fatal exception ]---\n"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, _ := scan(test.input...); !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestScannerTail(t *testing.T) {
	var b strings.Builder
	for i := range 100 {
		fmt.Fprintf(&b, "line %d\x1b[31m\r\n\r\n", i)
	}
	_, s := scan(b.String(), strings.Repeat("x", 10*maxLine))
	got := s.last(3)
	if len(got) != 3 || got[0] != "line 98?[31m" || got[1] != "line 99?[31m" || len(got[2]) > 200 {
		t.Errorf("last lines: %q", got)
	}
	if n := len(s.last(1000)); n != tailLines+1 {
		t.Errorf("%d lines kept, want %d", n, tailLines+1)
	}
	if len(s.line) > maxLine {
		t.Errorf("%d bytes of a line kept", len(s.line))
	}
}

// FuzzScanner checks that events do not depend on how the bytes arrive, and
// that nothing but printable ASCII is quoted.
func FuzzScanner(f *testing.F) {
	f.Add([]byte("[ 1.0] patchproof "+testNonce+" ready\r\n[ 2.0] Kernel panic - not syncing: x\r\n"), 7)
	f.Add([]byte("[[[]]] \x00\xff\n\n[ 1.0]"), 1)
	f.Fuzz(func(t *testing.T, data []byte, at int) {
		whole, s := scan(string(data))
		cut := 0
		if len(data) > 0 {
			cut = ((at % len(data)) + len(data)) % len(data)
		}
		parts, s2 := scan(string(data[:cut]), string(data[cut:]))
		if !slices.Equal(whole, parts) || !slices.Equal(s.last(50), s2.last(50)) {
			t.Fatalf("cut at %d: %v and %v", cut, whole, parts)
		}
		if len(s.line) > maxLine || len(s.tail) > tailLines {
			t.Fatal("memory is not bounded")
		}
		for _, line := range s.last(50) {
			for _, r := range line {
				if r < 0x20 || r > 0x7e {
					t.Fatalf("quoted line has %q", r)
				}
			}
		}
	})
}
