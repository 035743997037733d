package dmesg

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const testProgram = `
static inline __attribute__((always_inline)) int inner(volatile int *p)
{
	return *p + 1; /* line 4 */
}

static inline __attribute__((always_inline)) int middle(volatile int *p)
{
	return inner(p) * 3; /* line 9 */
}

__attribute__((noinline)) int outer(volatile int *p)
{
	p[1] = 2;
	return middle(p); /* line 15 */
}

int main(void)
{
	volatile int a[2] = { 0, 0 };
	return outer(a);
}
`

// compile builds testProgram and returns the binary.
func compile(t *testing.T, flags ...string) string {
	t.Helper()
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("no gcc")
	}
	dir := filepath.Join(t.TempDir(), "linux", "lib")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	source, out := filepath.Join(dir, "test.c"), filepath.Join(dir, "test")
	if err := os.WriteFile(source, []byte(testProgram), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(gcc, append(append([]string{"-O2", "-no-pie", "-fno-pie"}, flags...), "-o", out, source)...)
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, msg)
	}
	return out
}

func TestSymbolizeInlined(t *testing.T) {
	binary := compile(t, "-g")
	s, err := OpenSymbolizer(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	f, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, _ := f.Symbols()
	size := uint64(0)
	for _, sym := range symbols {
		if sym.Name == "outer" {
			size = sym.Size
		}
	}
	// Somewhere in outer there is an instruction of inner.
	for offset := uint64(0); offset < size; offset++ {
		r := Report{Function: "outer", Trace: []Frame{
			{Function: "outer", Offset: offset, Size: size, exact: true},
			{Function: "unknown", Offset: 1, Size: 2},
			{Function: "outer", Offset: offset, Size: size + 1000},
		}}
		s.Symbolize(&r)
		if len(r.Trace) != 5 {
			continue
		}
		want := []string{"inner lib/test.c:4 [inline]", "middle lib/test.c:9 [inline]", "lib/test.c:15", "unknown+0x1/0x2", "outer+"}
		for i, w := range want {
			if got := r.Trace[i].String(); !strings.Contains(got, w) {
				t.Errorf("frame %d: %q, want %q in it", i, got, w)
			}
		}
		if r.File != "lib/test.c" || r.Line != 15 {
			t.Errorf("the report is at %s:%d", r.File, r.Line)
		}
		return
	}
	t.Error("no offset gives the inlined frames")
}

func TestSymbolizeModule(t *testing.T) {
	s, err := OpenSymbolizer(compile(t, "-g"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.AddModule("testmod", compile(t, "-g", "-c")); err != nil {
		t.Fatal(err)
	}
	r := Report{Trace: []Frame{{Function: "outer", Offset: 4, Module: "testmod"}, {Function: "outer", Offset: 4, Module: "other"}}}
	s.Symbolize(&r)
	if last := r.Trace[len(r.Trace)-2]; last.Function != "outer" || last.File != "lib/test.c" || last.Line == 0 {
		t.Errorf("in the module: %+v", r.Trace)
	}
	if last := r.Trace[len(r.Trace)-1]; last.File != "" {
		t.Errorf("in a module without debug information: %+v", last)
	}
}

func TestOpenSymbolizerErrors(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no ELF"), 0o644); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ path, want string }{
		{filepath.Join(t.TempDir(), "missing"), "missing"},
		{text, "uncompressed vmlinux"},
		{compile(t), "CONFIG_DEBUG_INFO"},
		{compile(t, "-s"), "not stripped"},
	}
	for _, tt := range tests {
		if _, err := OpenSymbolizer(tt.path); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q in it", tt.path, err, tt.want)
		}
	}
}
