package dmesg

import (
	"bytes"
	"strings"
	"testing"
)

func TestSanitize(t *testing.T) {
	tests := []struct{ in, want string }{
		{"plain\ttext\n", "plain\ttext\n"},
		{"\x1b[31mred\x1b[0m", "red"},
		{"\x1b]0;title\x07after", "after"},
		{"\x1b]0;title\x1b\\after", "after"},
		{"\x1bcreset", "reset"},
		{"end\x1b", "end"},
		{"a\r\nb", "a\nb"},
		{"over\rwrite", "over\ufffdwrite"},
		{"nul\x00 bell\x07 del\x7f", "nul\ufffd bell\ufffd del\ufffd"},
		{"c1 \u009b31m", "c1 \ufffd31m"},
		{"bad \xff utf8", "bad \ufffd utf8"},
		{"turn \u202e around", "turn \ufffd around"},
		{"grüße", "grüße"},
	}
	for _, tt := range tests {
		if got := Sanitize(tt.in); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.in, got, tt.want)
		}
	}
	if got := Sanitize("\x1b[" + strings.Repeat("1;", 500) + "m tail"); !strings.HasSuffix(got, "m tail") {
		t.Errorf("an endless escape sequence swallowed %q", got)
	}
}

func TestSplitLine(t *testing.T) {
	tests := []struct {
		in, body string
		from     caller
		time     float64
		kernel   bool
	}{
		{"[   12.345678] hello", "hello", caller{}, 12.345678, true},
		{"[    0.000000] hello", "hello", caller{}, 0, true},
		{"[12345.678901][  T123]  indented", " indented", caller{'T', 123}, 12345.678901, true},
		{"[   12.345678@2] hello", "hello", caller{}, 12.345678, true},
		{"[   12.345678,0] hello", "hello", caller{}, 12.345678, true},
		{"[   12.345678@x] hello", "[   12.345678@x] hello", caller{}, 0, false},
		{"[   12.345678@123456] hello", "[   12.345678@123456] hello", caller{}, 0, false},
		{"[   12.345678][    C1] hello", "hello", caller{'C', 1}, 12.345678, true},
		{"<4>[   12.345678] hello", "hello", caller{}, 12.345678, true},
		{"<4>Jan  5 03:04:05 host kernel: [   12.345678] hello", "hello", caller{}, 12.345678, true},
		{"[   12.345678] host-1.example.org kernel: hello", "hello", caller{}, 12.345678, true},
		{"[   12.345678] kernel: hello", "kernel: hello", caller{}, 12.345678, true},
		{"[   12.345678] two words kernel: hello", "two words kernel: hello", caller{}, 12.345678, true},
		{"[   12.345678] host kernel: ", "", caller{}, 12.345678, true},
		{"<4>hello", "hello", caller{}, 0, true},
		{"kern  :warn  : [   12.345678] hello", "hello", caller{}, 12.345678, true},
		{"[Fri Jan  5 03:04:05 2024] hello", "hello", caller{}, 0, true},
		{"2024-01-05T03:04:05,123456+01:00 hello", "hello", caller{}, 0, true},
		{"Jan  5 03:04:05 host kernel: [   12.345678] hello", "hello", caller{}, 12.345678, true},
		{"2024-01-05T03:04:05.123456+01:00 host kernel: hello", "hello", caller{}, 0, true},
		{"июл 27 14:08:03 laptop kernel: hello", "hello", caller{}, 0, true},
		{"** 93 printk messages dropped ** [   12.345678] hello", "hello", caller{}, 12.345678, true},
		{"hello", "hello", caller{}, 0, false},
		{"[info] hello", "[info] hello", caller{}, 0, false},
		{"[   12.34] hello", "[   12.34] hello", caller{}, 0, false},
		{"\x1b[32m[   12.345678] \x1b[0mhello\r", "hello", caller{}, 12.345678, true},
		{"\x00\x00[   12.345678] hello", "hello", caller{}, 12.345678, true},
	}
	for _, tt := range tests {
		parts := splitLine([]byte(tt.in), nil)
		if len(parts) != 1 {
			t.Errorf("%q: %d parts", tt.in, len(parts))
			continue
		}
		p := parts[0]
		if string(p.body) != tt.body || p.from != tt.from || p.time != tt.time || p.kernel != tt.kernel {
			t.Errorf("%q: %q %+v %v %v", tt.in, p.body, p.from, p.time, p.kernel)
		}
	}
	parts := splitLine([]byte("host login: [    1.000001] one [    1.000002][ T9] two"), nil)
	if len(parts) == 3 && (parts[1].offset != 12 || parts[2].offset != 31) {
		t.Errorf("offsets %d, %d", parts[1].offset, parts[2].offset)
	}
	if len(parts) != 3 || string(parts[1].body) != "one " || string(parts[2].body) != "two" || parts[2].from.id != 9 {
		t.Errorf("glued messages: %+v", parts)
	}
}

func TestParseFrame(t *testing.T) {
	tests := []struct{ in, want string }{
		{" foo+0x1f/0x20", "foo+0x1f/0x20"},
		{" ? foo.isra.0+0x1f/0x20 [mod]", "? foo.isra.0+0x1f/0x20 [mod]"},
		{" foo+0x1f/0x20 [mod a1b2c3]", "foo+0x1f/0x20 [mod]"},
		{" [<ffffffff8134c1d2>] foo+0x1f/0x20", "foo+0x1f/0x20"},
		{" [<ffffffff8134c1d2>] ? foo+0x1f/0x20", "? foo+0x1f/0x20"},
		{" <IRQ>  [<ffffffff8134c1d2>] foo+0x1f/0x20", "foo+0x1f/0x20"},
		{" <#DF> foo+0x1f/0x20", "foo+0x1f/0x20"},
		{"[<8029a4f4>] (foo) from [<8029b1b0>] (bar+0x1b0/0x4f4)", "foo bar+0x1b0/0x4f4"},
		{"[<8029a4f4>] (foo+0x0/0x8) from [<8029b1b0>] (bar+0x1b0/0x4f4)", "foo bar+0x1b0/0x4f4"},
		{" foo from bar+0x1b0/0x4f4", "foo bar+0x1b0/0x4f4"},
		{"[c00000000a3f78d0] [c0000000006b41d8] foo+0x48/0x120 (unreliable)", "? foo+0x48/0x120"},
		{"([<0000000000b3b866>] foo+0x36/0x88)", "foo+0x36/0x88"},
		{"    [<00000000b1c2d3e4>] foo+0x27/0x60", "foo+0x27/0x60"},
		{"    [<(____ptrval____)>] foo+0x27/0x60", "foo+0x27/0x60"},
		{"\tfoo+0x27/0x60", "foo+0x27/0x60"},
		{" foo+0x1/0x2 fs/inode.c:12", "foo+0x1/0x2 fs/inode.c:12"},
		{" foo fs/inode.c:12 [inline]", "foo fs/inode.c:12 [inline]"},
		{" core::ops::drop+0x1/0x2", "core::ops::drop+0x1/0x2"},
		{"foo+0x1f/0x20 [mod]", "foo+0x1f/0x20 [mod]"},
		{"? foo+0x1f/0x20", "? foo+0x1f/0x20"},
		{"foo+0x1f/0x20 is in a sentence", ""},
		{" text+0xnothex", ""},
		{" 0x1f+0x20", ""},
		{" just words here", ""},
		{"", ""},
	}
	for _, tt := range tests {
		frames, _ := parseFrame([]byte(tt.in))
		var got []string
		for _, f := range frames {
			got = append(got, f.String())
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%q: got %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestParseIP(t *testing.T) {
	tests := []struct {
		in, function string
		user, ok     bool
	}{
		{"RIP: 0010:foo+0x1f/0x20", "foo", false, true},
		{"RIP: 0010:[<ffffffff8134c1d2>]  [<ffffffff8134c1d2>] foo+0x1f/0x20", "foo", false, true},
		{"RIP  [<ffffffff8134c1d2>] foo+0x1f/0x20", "foo", false, true},
		{"RIP: 0010:0x0", "", false, true},
		{"RIP: 0010:          (null)", "", false, true},
		{"RIP: 0033:0x7f2c6b7d90a7", "", true, true},
		{"IP: [<ffffffff8134c1d2>] foo+0x1f/0x20", "foo", false, true},
		{"EIP: foo+0x1f/0x20", "foo", false, true},
		{"EIP is at foo+0x1f/0x20", "foo", false, true},
		{"PC is at foo+0x1f/0x20", "foo", false, true},
		{"pc : foo+0x1f/0x20 [mod]", "foo", false, true},
		{"epc : foo+0x3e/0x9a", "foo", false, true},
		{"NIP [c0000000006b41f4] foo+0x64/0x120", "foo", false, true},
		{"Krnl PSW : 0704c00180000000 0000000000b3b86a (foo+0x3a/0x88)", "foo", false, true},
		{"--- interrupt: 700 at foo+0x1/0x2", "foo", false, true},
		{"RAX: 0000000000000000", "", false, false},
		{"pc speaker found", "", false, false},
	}
	for _, tt := range tests {
		f, user, ok := parseIP([]byte(tt.in))
		if f.Function != tt.function || user != tt.user || ok != tt.ok {
			t.Errorf("%q: %q %v %v", tt.in, f.Function, user, ok)
		}
	}
}

func TestKernelPath(t *testing.T) {
	tests := []struct{ in, want string }{
		{"fs/btrfs/inode.c", "fs/btrfs/inode.c"},
		{"./include/linux/skbuff.h", "include/linux/skbuff.h"},
		{"../fs/inode.c", "fs/inode.c"},
		{"/build/linux-9uDFZV/linux-4.9.30/fs/btrfs/extent-tree.c", "fs/btrfs/extent-tree.c"},
		{"/mnt/host/source/src/third_party/linux/fs/btrfs/delayed-inode.c", "fs/btrfs/delayed-inode.c"},
		{"/home/net/linux/mm/slab.c", "mm/slab.c"},
		{"/home/me/odd/drivers/net/tun.c", "drivers/net/tun.c"},
		{"/home/me/module/quilt.c", "/home/me/module/quilt.c"},
	}
	for _, tt := range tests {
		if got := kernelPath(tt.in); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.in, got, tt.want)
		}
	}
}

func TestScanner(t *testing.T) {
	words := []string{"he", "she", "his", "hers", "[ cut"}
	s := newScanner(words)
	for _, text := range []string{"ushers", "", "h", "this [ cut here", "hhe", "shis[ [ cut"} {
		want := uint64(0)
		for i, w := range words {
			if strings.Contains(text, w) {
				want |= 1 << i
			}
		}
		if got := s.scan([]byte(text)); got != want {
			t.Errorf("%q: %b, want %b", text, got, want)
		}
	}
}

func TestTitleFunction(t *testing.T) {
	for in, want := range map[string]string{"__x64_sys_recvmmsg": "sys_recvmmsg", "SyS_write": "write", "foo.isra.0.cold": "foo",
		"ksys_read": "read", "__do_sys_mount": "mount", "plain": "plain"} {
		if got := titleFunction(in); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func TestWriteText(t *testing.T) {
	r := Report{Kind: KindWarning, Severity: SeverityMedium, Title: "WARNING in f", File: "a/b.c", Line: 3, Function: "f", Macro: "WARN_ON", Condition: "x",
		Once: true, Comm: "c\x1b[31m", PID: 4, CPU: 1, Taint: "GW", Release: "6.1", HasTimestamp: true, Timestamp: 1.5, FollowUp: true, Truncated: true,
		Trace:       []Frame{{Function: "f", Offset: 1, Size: 2}, {Function: "g", Unreliable: true}, {Function: "h", Offset: 3, Size: 4, Module: "m", File: "c.c", Line: 9}},
		Fingerprint: "abc", Start: 5, End: 9}
	var b bytes.Buffer
	if err := WriteText(&b, []Report{r, {Kind: KindOther, Title: "t", CPU: -1}}, TextOptions{MaxFrames: 1}); err != nil {
		t.Fatal(err)
	}
	want := `WARNING in f  (WARNING, medium, once per boot, follow-up, truncated)
  at a/b.c:3  WARN_ON(x)
  c[4], CPU 1, kernel 6.1, tainted GW, at 1.500000 s
    f+0x1/0x2
    ... 1 more
  fingerprint abc, bytes 5-9

t  (other, low)
  fingerprint , bytes 0-0
`
	if b.String() != want {
		t.Errorf("got:\n%s", b.String())
	}
}
