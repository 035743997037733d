package kernels

import (
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Image is one kernel, ready to boot. It is immutable and lies in the store;
// all paths are absolute. Images are handed around as pointers because they
// keep what they have read of their configuration and sources.
type Image struct {
	// ID is the content address: the hash of all inputs of the build.
	ID string `json:"id"`
	// Path is the bootable image. Vmlinux and Config are empty when there is none.
	Path    string `json:"path"`
	Vmlinux string `json:"vmlinux,omitempty"`
	Config  string `json:"config,omitempty"`
	// Modules is the folder of a ready image's modules, the user's own.
	Modules string `json:"modules,omitempty"`
	// Release is what uname -r says in the guest.
	Release string `json:"release"`
	// SHA256 of the file at Path, in hexadecimal.
	SHA256 string `json:"sha256"`
	// MissingSymbols lists what the configuration asked for and did not get,
	// as "CONFIG_FOO=y (got n)" or "CONFIG_FOO=y (unknown to this tree)".
	MissingSymbols []string   `json:"missing_symbols,omitempty"`
	Provenance     Provenance `json:"provenance"`

	mu      sync.Mutex
	options *configFile
	files   map[string]sourceText
}

// Source kinds of a Provenance.
const (
	SourceImage   = "image"
	SourceTarball = "tarball"
	SourceGit     = "git"
)

// Provenance says where an image comes from, so that somebody else can build
// it again.
type Provenance struct {
	Source    Source       `json:"source"`
	Patches   []PatchInfo  `json:"patches,omitempty"`
	Touched   []Touched    `json:"touched,omitempty"`
	Base      string       `json:"base_config,omitempty"`
	Fragments []FileDigest `json:"fragments,omitempty"`
	// ConfigSHA256 is the hash of the resulting .config.
	ConfigSHA256 string `json:"config_sha256,omitempty"`
	// Perturb says which code was compiled to yield; nil for a plain kernel.
	Perturb  *Perturb `json:"perturb,omitempty"`
	Compiler string   `json:"compiler,omitempty"`
	Make     []string `json:"make,omitempty"`
	// BuildLog is the path of make's output.
	BuildLog string `json:"build_log,omitempty"`
	// Compiled counts the source files that this build compiled; the second
	// kernel of a pair should have few.
	Compiled int           `json:"compiled,omitempty"`
	Elapsed  time.Duration `json:"elapsed_ns,omitempty"`
	Built    time.Time     `json:"built,omitzero"`
	// TreeDir and BuildDir are the store's folders that the image was built
	// in. They may be in another variant's state by now, or gone.
	TreeDir  string `json:"tree_dir,omitempty"`
	BuildDir string `json:"build_dir,omitempty"`
}

// Source identifies the sources before any patch.
type Source struct {
	Kind string `json:"kind"` // SourceImage, SourceTarball or SourceGit
	Path string `json:"path"` // as the user gave it, made absolute
	// Rev is the revision as given, Commit the full hash that it meant.
	Rev    string `json:"rev,omitempty"`
	Commit string `json:"commit,omitempty"`
	// SHA256 of the tarball or image.
	SHA256 string `json:"sha256,omitempty"`
}

// String names the source for messages.
func (s Source) String() string {
	if s.Kind == SourceGit {
		return s.Path + " at " + s.Rev
	}
	return s.Path
}

// PatchInfo identifies one patch file of a series.
type PatchInfo struct {
	Path     string   `json:"path"`
	SHA256   string   `json:"sha256"`
	Subjects []string `json:"subjects,omitempty"` // of the mails in it
	Files    []string `json:"files,omitempty"`
}

// FileDigest is an input file by path and content.
type FileDigest struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
}

// Touched is a source file that the patch series changes.
type Touched struct {
	Path string `json:"path"`
	// Built says that this configuration compiles the file, or something that
	// includes it.
	Built bool `json:"built"`
}

// dir is the image's folder in the store.
func (i *Image) dir() string { return filepath.Dir(i.Path) }

// TouchedFiles lists the source files that the image's patches change, sorted.
func (i *Image) TouchedFiles() []string {
	var out []string
	for _, t := range i.Provenance.Touched {
		out = append(out, t.Path)
	}
	return out
}

// Option returns the value of a configuration symbol, with or without the
// CONFIG_ prefix: "y", "m", "n" (also for a symbol that is not set), a number,
// or a string without its quotes. known is false when the image's
// configuration is not at hand, and then the value means nothing.
func (i *Image) Option(symbol string) (value string, known bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.options == nil {
		if i.Config == "" {
			return "", false
		}
		c, err := readConfig(i.Config)
		if err != nil {
			return "", false
		}
		i.options = c
	}
	return i.options.value(symbol), true
}

// Version returns the first two numbers of a kernel release such as
// "6.1.0-18-amd64"; ok is false when it does not start with two numbers.
func Version(release string) (major, minor int, ok bool) {
	first, rest, found := strings.Cut(release, ".")
	if !found {
		return 0, 0, false
	}
	end := 0
	for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
		end++
	}
	major, err1 := strconv.Atoi(first)
	minor, err2 := strconv.Atoi(rest[:end])
	if err1 != nil || err2 != nil || major < 0 {
		return 0, 0, false
	}
	return major, minor, true
}
