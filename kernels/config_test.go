package kernels

import (
	"context"
	"errors"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestParseConfig(t *testing.T) {
	t.Parallel()
	c, err := parseConfig("f", []byte("# words\n\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=\"a \\\"b\\\"\"\nCONFIG_D=0x10\nCONFIG_A=m\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	for symbol, want := range map[string]string{"A": "m", "B": "n", "C": `a "b"`, "CONFIG_D": "0x10", "NONE": "n"} {
		if got := c.value(symbol); got != want {
			t.Errorf("%s = %q, want %q", symbol, got, want)
		}
	}
	if want := []string{"CONFIG_B", "CONFIG_C", "CONFIG_D", "CONFIG_A"}; !slices.Equal(c.order, want) {
		t.Errorf("order %v", c.order)
	}
}

func TestParseConfigRefusesTypos(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"BTRFS_FS=y", "CONFIG_A", "CONFIG_A=yes", "CONFIG_A= ", "CONFIG_A=\"x", "config_a=y", "CONFIG_A = y"} {
		_, err := parseConfig("frag.config", []byte("CONFIG_OK=y\n"+line+"\n"))
		var ce *ConfigError
		if !errors.As(err, &ce) || ce.Line != 2 || !strings.HasPrefix(err.Error(), "frag.config:2: ") {
			t.Errorf("%q: %v", line, err)
		}
	}
}

func TestMissing(t *testing.T) {
	t.Parallel()
	asked, err := parseConfig("f", []byte("CONFIG_A=y\nCONFIG_B=n\nCONFIG_C=0x10\nCONFIG_D=y\nCONFIG_E=\"\"\nCONFIG_F=y\nCONFIG_G=m\nCONFIG_H=n\n"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseConfig("g", []byte("CONFIG_A=y\nCONFIG_C=16\nCONFIG_D=m\nCONFIG_G=y\nCONFIG_H=y\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"CONFIG_D=y (got m)", "CONFIG_F=y (unknown to this tree)", "CONFIG_G=m (got y)", "CONFIG_H=n (got y)"}
	if m := missing(asked, got, func(string) bool { return false }); !slices.Equal(m, want) {
		t.Errorf("%q", m)
	}
	if m := missing(asked, got, func(string) bool { return true }); m[1] != "CONFIG_F=y (not set)" {
		t.Errorf("%q", m)
	}
}

func TestTreeSymbols(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, filepath.Join(dir, "Kconfig"), "config A\n\tbool\n\nmenuconfig B\n\tbool \"b\" # config NOT\n\thelp\n\t  text\n")
	put(t, filepath.Join(dir, "fs/btrfs/Kconfig.debug"), "\tconfig C # words\n")
	put(t, filepath.Join(dir, "arch/x86/Kconfig"), "config D\n")
	put(t, filepath.Join(dir, "arch/arm/Kconfig"), "config E\n")
	got, err := treeSymbols(dir, "x86")
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 4 || !got["A"] || !got["B"] || !got["C"] || !got["D"] {
		t.Errorf("%v", got)
	}
}

func TestCompilerCommands(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ vars, cc, ld string }{
		{"", "gcc", "ld"},
		{"CC=gcc-11", "gcc-11", "ld"},
		{"CC=ccache gcc", "ccache gcc", "ld"},
		{"LLVM=1", "clang", "ld.lld"},
		{"LLVM=-15", "clang-15", "ld.lld-15"},
		{"LLVM=/opt/llvm/bin/", "/opt/llvm/bin/clang", "/opt/llvm/bin/ld.lld"},
		{"ARCH=arm64,CROSS_COMPILE=aarch64-linux-gnu-", "aarch64-linux-gnu-gcc", "aarch64-linux-gnu-ld"},
	} {
		var vars []string
		if tc.vars != "" {
			vars = strings.Split(tc.vars, ",")
		}
		cc, ld := compilerCommands(vars)
		if strings.Join(cc, " ") != tc.cc || strings.Join(ld, " ") != tc.ld {
			t.Errorf("%q: %q, %q", tc.vars, cc, ld)
		}
	}
}

func TestCompilerID(t *testing.T) {
	t.Parallel()
	id, err := CompilerID(context.Background(), fakeCompiler(t))
	if err != nil || !regexp.MustCompile(`^fakecc \(test\) 1\.0 \(script ([0-9a-f]{12})\); fakecc \(test\) 1\.0 \(script [0-9a-f]{12}\)$`).MatchString(id) {
		t.Errorf("%q, %v", id, err)
	}
	_, err = CompilerID(context.Background(), []string{"CC=gcc-3.4-none"})
	if err == nil || !strings.Contains(err.Error(), "apt-get install gcc-3.4-none") {
		t.Error(err)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		release      string
		major, minor int
		ok           bool
	}{
		{"6.1.192", 6, 1, true}, {"3.14.1-00001-gabc", 3, 14, true}, {"6.12-rc3+", 6, 12, true},
		{"", 0, 0, false}, {"6", 0, 0, false}, {"v6.1", 0, 0, false}, {"6.x", 0, 0, false}, {"-6.1", 0, 0, false},
	} {
		if a, b, ok := Version(tc.release); a != tc.major || b != tc.minor || ok != tc.ok {
			t.Errorf("%q: %d, %d, %v", tc.release, a, b, ok)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte("CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=\"x\"\nCONFIG_D=-1\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseConfig("f", data)
		if err != nil {
			return
		}
		again, err := parseConfig("g", c.text())
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if !slices.Equal(c.order, again.order) {
			t.Errorf("%v became %v", c.order, again.order)
		}
		for name, v := range c.values {
			if again.values[name] != v {
				t.Errorf("%s=%s became %s", name, v, again.values[name])
			}
		}
	})
}
