package kernels

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// configFile is the content of a .config or of a fragment. The format is that
// of the kernel's Documentation/kbuild/kconfig.rst: CONFIG_X=value lines, and
// "# CONFIG_X is not set" for n.
type configFile struct {
	values map[string]string // by name with the CONFIG_ prefix; raw, quotes kept
	order  []string          // names in the order of their last assignment
}

var (
	configSet   = regexp.MustCompile(`^(CONFIG_\w+)=(.*)$`)
	configUnset = regexp.MustCompile(`^# (CONFIG_\w+) is not set$`)
)

// ConfigError says that a line of a configuration is not understood.
type ConfigError struct {
	File string
	Line int
	Text string
}

func (e *ConfigError) Error() string {
	return fmt.Sprintf("%s:%d: %.80q is no configuration line: expected CONFIG_NAME=value, \"# CONFIG_NAME is not set\", or a comment", e.File, e.Line, e.Text)
}

// parseConfig reads a configuration. kconfig ignores lines that it does not
// understand; here they are errors, because in a file that a person wrote they
// are mistakes that would silently change the kernel.
func parseConfig(name string, data []byte) (*configFile, error) {
	c := &configFile{values: map[string]string{}}
	sc := bufio.NewScanner(bytes.NewReader(data))
	sc.Buffer(nil, 1<<20)
	for n := 1; sc.Scan(); n++ {
		line := strings.TrimSpace(sc.Text())
		if m := configSet.FindStringSubmatch(line); m != nil {
			value := strings.TrimSpace(m[2])
			if !validValue(value) {
				return nil, &ConfigError{name, n, line}
			}
			c.set(m[1], value)
			continue
		}
		if m := configUnset.FindStringSubmatch(line); m != nil {
			c.set(m[1], "n")
			continue
		}
		if line != "" && !strings.HasPrefix(line, "#") {
			return nil, &ConfigError{name, n, line}
		}
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

// validValue accepts y, m, n, numbers and quoted strings.
func validValue(v string) bool {
	switch {
	case v == "y", v == "m", v == "n":
		return true
	case strings.HasPrefix(v, `"`):
		return len(v) >= 2 && strings.HasSuffix(v, `"`)
	}
	_, err := strconv.ParseInt(v, 0, 64)
	if err != nil {
		_, err = strconv.ParseUint(v, 0, 64)
	}
	return err == nil
}

func (c *configFile) set(name, value string) {
	if _, ok := c.values[name]; ok {
		c.order = slices.DeleteFunc(c.order, func(n string) bool { return n == name })
	}
	c.values[name] = value
	c.order = append(c.order, name)
}

// value is what Image.Option returns.
func (c *configFile) value(symbol string) string {
	v, ok := c.values["CONFIG_"+strings.TrimPrefix(symbol, "CONFIG_")]
	if !ok {
		return "n"
	}
	if strings.HasPrefix(v, `"`) {
		if u, err := strconv.Unquote(v); err == nil {
			return u
		}
		return strings.Trim(v, `"`)
	}
	return v
}

func readConfig(path string) (*configFile, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("config %s: %w", path, bareError(err))
	}
	return parseConfig(path, data)
}

// merge adds the assignments of d; the later one of a symbol holds.
func (c *configFile) merge(d *configFile) {
	for _, name := range d.order {
		c.set(name, d.values[name])
	}
}

// text writes the assignments in the form that kconfig reads.
func (c *configFile) text() []byte {
	var b bytes.Buffer
	for _, name := range c.order {
		if v := c.values[name]; v == "n" {
			fmt.Fprintf(&b, "# %s is not set\n", name)
		} else {
			fmt.Fprintf(&b, "%s=%s\n", name, v)
		}
	}
	return b.Bytes()
}

// missing compares what was asked for with what kconfig made of it. known says
// whether the tree has a symbol of that name.
func missing(asked, got *configFile, known func(name string) bool) []string {
	var out []string
	for _, name := range asked.order {
		want := asked.values[name]
		have, ok := got.values[name]
		if !ok {
			have = "n"
		}
		if sameValue(want, have) {
			continue
		}
		switch {
		case ok:
			out = append(out, fmt.Sprintf("%s=%s (got %s)", name, want, have))
		case known(strings.TrimPrefix(name, "CONFIG_")):
			out = append(out, fmt.Sprintf("%s=%s (not set)", name, want))
		default:
			out = append(out, fmt.Sprintf("%s=%s (unknown to this tree)", name, want))
		}
	}
	return out
}

// sameValue compares values as kconfig means them: 0x10 is 16, and an empty
// string is the same as none.
func sameValue(a, b string) bool {
	if a == b || a == `""` && b == "n" {
		return true
	}
	x, err1 := strconv.ParseUint(a, 0, 64)
	y, err2 := strconv.ParseUint(b, 0, 64)
	return err1 == nil && err2 == nil && x == y
}

// kconfigSymbol matches the definition of a symbol in a Kconfig file.
var kconfigSymbol = regexp.MustCompile(`(?m)^\s*(?:menu)?config\s+(\w+)\s*(?:#.*)?$`)

// treeSymbols reads the names of all symbols that a tree defines for an
// architecture (the name of a folder under arch/).
func treeSymbols(dir, arch string) (map[string]bool, error) {
	symbols := map[string]bool{}
	root := filepath.Clean(dir)
	archDir := filepath.Join(root, "arch")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			other := filepath.Dir(path) == archDir && d.Name() != arch
			if other || d.Name() == ".git" || filepath.Dir(path) == root && d.Name() == "Documentation" {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasPrefix(d.Name(), "Kconfig") || !d.Type().IsRegular() {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range kconfigSymbol.FindAllSubmatch(data, -1) {
			symbols[string(m[1])] = true
		}
		return nil
	})
	return symbols, err
}

// configInput is the configuration that a spec asks for, read from its files.
type configInput struct {
	base      string      // AllNoConfig, DefConfig or the path of a .config
	baseText  *configFile // of a .config; nil for the others
	asked     *configFile // all fragments merged
	fragments []FileDigest
	digest    string // of all of it, for the image's address
}

// readConfigInput reads the base configuration and the fragments of a spec.
func readConfigInput(spec Spec) (*configInput, error) {
	in := &configInput{base: spec.BaseConfig, asked: &configFile{values: map[string]string{}}}
	if in.base == "" {
		in.base = AllNoConfig
	}
	parts := []string{in.base}
	if in.base != AllNoConfig && in.base != DefConfig {
		c, err := readConfig(in.base)
		if err != nil {
			return nil, err
		}
		in.baseText = c
		parts = []string{"file", string(c.text())}
	}
	for _, path := range spec.Fragments {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("config fragment %s: %w", path, bareError(err))
		}
		c, err := parseConfig(path, data)
		if err != nil {
			return nil, fmt.Errorf("config fragment: %w", err)
		}
		in.asked.merge(c)
		in.fragments = append(in.fragments, FileDigest{Path: path, SHA256: hashBytes(data)})
	}
	if spec.Perturb != nil {
		for _, c := range perturbConfig {
			in.asked.set(c.name, c.value)
		}
	}
	parts = append(parts, string(in.asked.text()))
	in.digest = hashBytes([]byte(strings.Join(parts, "\x00")))
	return in, nil
}

// toolSymbols are symbols that kconfig computes from the tools and the
// architecture. A .config made elsewhere has them, but nobody asked for them.
var toolSymbols = regexp.MustCompile(`^CONFIG_(CC|AS|LD|GCC|CLANG|PAHOLE|RUST|RUSTC|TOOLS|TOOLCHAIN|HAVE|ARCH)_`)

// wanted is what the user asked for by name: all symbols of the fragments, and
// of a .config given as the base the features that it turns on.
func (in *configInput) wanted() *configFile {
	all := &configFile{values: map[string]string{}}
	if in.baseText != nil {
		for _, name := range in.baseText.order {
			v := in.baseText.values[name]
			// The build always turns localVersionAuto off.
			if (v == "y" || v == "m") && name != localVersionAuto && !toolSymbols.MatchString(name) {
				all.set(name, v)
			}
		}
	}
	all.merge(in.asked)
	return all
}

// localVersionAuto makes the release depend on the state of a git repository.
// It is always off: images of equal sources must be equal.
const localVersionAuto = "CONFIG_LOCALVERSION_AUTO"

var errNoConfig = errors.New("make left no .config")
