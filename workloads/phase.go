package workloads

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Phase is one step of a workload: exactly one of the action fields is set.
type Phase struct {
	// Name is shown in records and written to the kernel log as the phase
	// begins; without one the action's own name is used.
	Name string `yaml:"name,omitempty" json:"name,omitempty"`
	// Timeout is the limit on a machine of slowdown 1; 0 means the action's
	// default. Whoever runs the step scales it by the accelerator's slowdown.
	Timeout Duration `yaml:"timeout,omitempty" json:"timeout,omitempty"`

	Mkfs       *Mkfs       `yaml:"mkfs,omitempty" json:"mkfs,omitempty" spec:"action"`
	Mount      *Mount      `yaml:"mount,omitempty" json:"mount,omitempty" spec:"action"`
	Umount     *Umount     `yaml:"umount,omitempty" json:"umount,omitempty" spec:"action"`
	Sysbench   *Sysbench   `yaml:"sysbench,omitempty" json:"sysbench,omitempty" spec:"action"`
	Shell      *Shell      `yaml:"shell,omitempty" json:"shell,omitempty" spec:"action"`
	Sleep      *Duration   `yaml:"sleep,omitempty" json:"sleep,omitempty" spec:"action"`
	DropCaches *DropCaches `yaml:"drop-caches,omitempty" json:"drop-caches,omitempty" spec:"action"`
	Sync       *Sync       `yaml:"sync,omitempty" json:"sync,omitempty" spec:"action"`
}

// Where file systems live unless a phase says otherwise.
const (
	DefaultDevice = "/dev/vda"
	DefaultTarget = "/mnt"
)

// Mkfs makes a file system.
type Mkfs struct {
	FS     string `yaml:"fs" json:"fs" spec:"required"`
	Device string `yaml:"device,omitempty" json:"device,omitempty"`
	// Features are asked for on top of what mkfs chooses, "^name" switches one
	// off. btrfs only.
	Features []string `yaml:"features,omitempty" json:"features,omitempty"`
	// Options are further words of mkfs's command line.
	Options []string `yaml:"options,omitempty" json:"options,omitempty"`
}

// Mount mounts a file system.
type Mount struct {
	FS      string   `yaml:"fs" json:"fs" spec:"required"`
	Device  string   `yaml:"device,omitempty" json:"device,omitempty"`
	Target  string   `yaml:"target,omitempty" json:"target,omitempty"`
	Options []string `yaml:"options,omitempty" json:"options,omitempty"`
}

// Umount unmounts the file system at Target.
type Umount struct {
	Target string `yaml:"target,omitempty" json:"target,omitempty"`
}

// Sysbench runs sysbench's file I/O test. Fields keep sysbench's meaning;
// fields left out keep its default, apart from the ten seconds after which
// sysbench 1.0 stops without saying so.
type Sysbench struct {
	// Test is "fileio", the default and the only one so far.
	Test string `yaml:"test,omitempty" json:"test,omitempty"`
	// Action is "prepare", "run" or "cleanup".
	Action  string `yaml:"action" json:"action" spec:"required"`
	Threads int    `yaml:"threads,omitempty" json:"threads,omitempty"`
	// Files is the number of files that share TotalSize; 0 is sysbench's 128.
	Files     int  `yaml:"files,omitempty" json:"files,omitempty"`
	TotalSize Size `yaml:"total_size,omitempty" json:"total_size,omitempty"`
	BlockSize Size `yaml:"block_size,omitempty" json:"block_size,omitempty"`
	// Mode is the test mode: seqwr, seqrewr, seqrd, rndrd, rndwr or rndrw.
	Mode string `yaml:"mode,omitempty" json:"mode,omitempty"`
	// IOMode is "sync" (the default), "async" or "mmap".
	IOMode string `yaml:"io_mode,omitempty" json:"io_mode,omitempty"`
	// Flags are flags of open(2): direct, sync or dsync. sysbench accepts one.
	// They apply to run only: files that prepare writes with O_DIRECT are not
	// compressed, and then direct writes never fall back to buffered ones.
	Flags     []string `yaml:"flags,omitempty" json:"flags,omitempty"`
	FsyncFreq *int     `yaml:"fsync_freq,omitempty" json:"fsync_freq,omitempty"`
	FsyncEnd  *bool    `yaml:"fsync_end,omitempty" json:"fsync_end,omitempty"`
	FsyncAll  *bool    `yaml:"fsync_all,omitempty" json:"fsync_all,omitempty"`
	// RandType is how offsets are distributed: uniform, gaussian, special or
	// pareto. sysbench 1.0 defaults to special, older ones know only uniform.
	RandType string `yaml:"rand_type,omitempty" json:"rand_type,omitempty"`
	// Events is the number of requests to do; run checks that they were done.
	Events int `yaml:"events,omitempty" json:"events,omitempty"`
	// Time limits the run; with it, fewer events than asked for are no error.
	Time Duration `yaml:"time,omitempty" json:"time,omitempty"`
	// Dir is where the files are; by default the target of the last mount.
	Dir string `yaml:"dir,omitempty" json:"dir,omitempty"`
	// ExpectCompressed makes prepare fail unless the file system's data grew
	// by at most this share of TotalSize. btrfs only.
	ExpectCompressed float64 `yaml:"expect_compressed,omitempty" json:"expect_compressed,omitempty"`
}

// Shell runs a command line of the guest's sh.
type Shell struct {
	Run          string `yaml:"run" json:"run" spec:"required"`
	ExpectStatus int    `yaml:"expect_status,omitempty" json:"expect_status,omitempty"`
}

// DropCaches writes Mode (1 page cache, 2 dentries and inodes, 3 both; 0
// means 3) to /proc/sys/vm/drop_caches after a sync.
type DropCaches struct {
	Mode int `yaml:"mode,omitempty" json:"mode,omitempty"`
}

// Sync writes all dirty data back.
type Sync struct{}

// Time limits of phases that give none, on a machine of slowdown 1.
const (
	defaultTimeout         = 2 * time.Minute
	defaultSysbenchTimeout = 15 * time.Minute
)

// Title is the phase's name, or one made from its action.
func (p *Phase) Title() string {
	switch {
	case p.Name != "":
		return p.Name
	case p.Sysbench != nil:
		return "sysbench " + p.Sysbench.Action
	}
	if actions := p.actions(); len(actions) == 1 {
		return actions[0]
	}
	return "phase"
}

// Limit is the phase's time limit on a machine of slowdown 1.
func (p *Phase) Limit() time.Duration {
	switch {
	case p.Timeout > 0:
		return time.Duration(p.Timeout)
	case p.Sysbench != nil:
		return defaultSysbenchTimeout + time.Duration(p.Sysbench.Time)
	case p.Sleep != nil:
		return defaultTimeout + time.Duration(*p.Sleep)
	}
	return defaultTimeout
}

// makes and mounts name the file system that the phase makes or mounts.
func (p *Phase) makes() string {
	if p.Mkfs == nil {
		return ""
	}
	return p.Mkfs.FS
}

func (p *Phase) mounts() string {
	if p.Mount == nil {
		return ""
	}
	return p.Mount.FS
}

// actions names the action fields that are set.
func (p *Phase) actions() []string {
	var set []string
	for _, a := range []struct {
		name string
		is   bool
	}{
		{"mkfs", p.Mkfs != nil}, {"mount", p.Mount != nil}, {"umount", p.Umount != nil},
		{"sysbench", p.Sysbench != nil}, {"shell", p.Shell != nil}, {"sleep", p.Sleep != nil},
		{"drop-caches", p.DropCaches != nil}, {"sync", p.Sync != nil},
	} {
		if a.is {
			set = append(set, a.name)
		}
	}
	return set
}

// phaseActions lists what a phase can do, for messages.
var phaseActions = []string{"mkfs", "mount", "umount", "sysbench", "shell", "sleep", "drop-caches", "sync"}

func (p *Phase) check(src *source, at string) *PositionError {
	switch set := p.actions(); {
	case len(set) == 0:
		return src.errorf(at, "phase has no action; expected %s", oneOf(phaseActions))
	case len(set) > 1:
		return src.errorf(at+"."+set[1], "phase has two actions, %s and %s; make it two phases", set[0], set[1])
	}
	if !isTitle(p.Name) {
		return src.errorf(at+".name", "expected a name of at most 64 printable ASCII characters, got %s", shorten(p.Name))
	}
	switch {
	case p.Mkfs != nil:
		return p.Mkfs.check(src, at+".mkfs")
	case p.Mount != nil:
		return p.Mount.check(src, at+".mount")
	case p.Umount != nil:
		return checkPath(src, at+".umount.target", p.Umount.Target)
	case p.Sysbench != nil:
		return p.Sysbench.check(src, at+".sysbench")
	case p.Shell != nil:
		return p.Shell.check(src, at+".shell")
	case p.DropCaches != nil && (p.DropCaches.Mode < 0 || p.DropCaches.Mode > 3):
		return src.errorf(at+".drop-caches.mode", "expected 1, 2 or 3, got %d", p.DropCaches.Mode)
	}
	return nil
}

func (m *Mkfs) check(src *source, at string) *PositionError {
	if _, known := mkfsForce[m.FS]; !known {
		return src.errorf(at+".fs", "unknown file system %s; expected %s", shorten(m.FS), oneOf(mkfsFileSystems()))
	}
	if err := checkPath(src, at+".device", m.Device); err != nil {
		return err
	}
	for i, f := range m.Features {
		if m.FS != "btrfs" {
			return src.errorf(at+".features", "features are known for btrfs only; use options for %s", m.FS)
		}
		if !isName(strings.TrimPrefix(f, "^")) {
			return src.errorf(indexed(at+".features", i), "expected the name of a feature, or ^name to switch it off, got %s", shorten(f))
		}
	}
	return nil
}

func (m *Mount) check(src *source, at string) *PositionError {
	if !isName(m.FS) {
		return src.errorf(at+".fs", "expected the name of a file system such as btrfs, got %s", shorten(m.FS))
	}
	if err := checkPath(src, at+".device", m.Device); err != nil {
		return err
	}
	if err := checkPath(src, at+".target", m.Target); err != nil {
		return err
	}
	for i, o := range m.Options {
		if o == "" || strings.ContainsAny(o, ", \t\n") {
			return src.errorf(indexed(at+".options", i), "expected one mount option without commas or spaces, got %s", shorten(o))
		}
	}
	return nil
}

func (s *Shell) check(src *source, at string) *PositionError {
	if strings.TrimSpace(s.Run) == "" || strings.ContainsRune(s.Run, 0) {
		return src.errorf(at+".run", "expected a command line")
	}
	if s.ExpectStatus < 0 || s.ExpectStatus > 255 {
		return src.errorf(at+".expect_status", "expected an exit status from 0 to 255, got %d", s.ExpectStatus)
	}
	return nil
}

// What sysbench's fileio test knows.
var (
	sysbenchActions   = []string{"prepare", "run", "cleanup"}
	sysbenchModes     = []string{"seqwr", "seqrewr", "seqrd", "rndrd", "rndwr", "rndrw"}
	sysbenchIOModes   = []string{"sync", "async", "mmap"}
	sysbenchFlags     = []string{"direct", "sync", "dsync"}
	sysbenchRandTypes = []string{"uniform", "gaussian", "special", "pareto"}
)

func (s *Sysbench) check(src *source, at string) *PositionError {
	for _, f := range []struct {
		name, value string
		choices     []string
	}{
		{"test", cmpOr(s.Test, "fileio"), []string{"fileio"}},
		{"action", s.Action, sysbenchActions},
		{"mode", cmpOr(s.Mode, "rndwr"), sysbenchModes},
		{"io_mode", cmpOr(s.IOMode, "sync"), sysbenchIOModes},
		{"rand_type", cmpOr(s.RandType, "uniform"), sysbenchRandTypes},
	} {
		if !slices.Contains(f.choices, f.value) {
			return src.errorf(at+"."+f.name, "%s: expected %s, got %s%s", f.name, oneOf(f.choices), shorten(f.value), s.swapHint(f.name))
		}
	}
	for i, f := range s.Flags {
		if !slices.Contains(sysbenchFlags, f) {
			return src.errorf(indexed(at+".flags", i), "expected %s, got %s", oneOf(sysbenchFlags), shorten(f))
		}
	}
	if len(s.Flags) > 1 {
		return src.errorf(at+".flags", "sysbench accepts one flag only (it stops at \"unknown extra flags value\")")
	}
	if err := s.checkNumbers(src, at); err != nil {
		return err
	}
	if err := checkPath(src, at+".dir", s.Dir); err != nil {
		return err
	}
	return s.checkAction(src, at)
}

// swapHint recognises a test mode given as I/O mode and the reverse: the
// founding report's command line swaps the two.
func (s *Sysbench) swapHint(field string) string {
	if field == "io_mode" && slices.Contains(sysbenchModes, s.IOMode) || field == "mode" && slices.Contains(sysbenchIOModes, s.Mode) {
		return "; mode and io_mode are swapped"
	}
	return ""
}

// maxEvents is the largest number that sysbench's --events takes (a C int).
const maxEvents = 1<<31 - 1

func (s *Sysbench) checkNumbers(src *source, at string) *PositionError {
	switch {
	case s.Threads < 0 || s.Threads > 4096:
		return src.errorf(at+".threads", "expected 1 to 4096 threads, got %d", s.Threads)
	case s.Files < 0 || s.Files > 1_000_000:
		return src.errorf(at+".files", "expected 1 to 1000000 files, got %d", s.Files)
	case s.FsyncFreq != nil && *s.FsyncFreq < 0:
		return src.errorf(at+".fsync_freq", "expected 0 or more, got %d", *s.FsyncFreq)
	case s.Events < 0 || s.Events > maxEvents:
		return src.errorf(at+".events", "expected 1 to %d events, got %d", maxEvents, s.Events)
	case s.Time%Duration(time.Second) != 0:
		return src.errorf(at+".time", "expected whole seconds, got %v", s.Time)
	case !(s.ExpectCompressed >= 0 && s.ExpectCompressed <= 1):
		return src.errorf(at+".expect_compressed", "expected a ratio above 0 and at most 1, got %v", s.ExpectCompressed)
	}
	return nil
}

func (s *Sysbench) checkAction(src *source, at string) *PositionError {
	if s.Action == "cleanup" {
		return nil
	}
	if s.TotalSize == 0 {
		return src.errorf(at+".total_size", "sysbench %s: missing field \"total_size\" (the size of all files together)", s.Action)
	}
	files, block := s.files(), s.blockSize()
	if s.TotalSize%block != 0 || s.TotalSize/block%Size(files) != 0 {
		return src.errorf(at+".total_size", "total_size %v is not a whole number of %v blocks in each of %d files", s.TotalSize, block, files)
	}
	if s.Action == "prepare" {
		return nil
	}
	switch {
	case s.ExpectCompressed != 0:
		return src.errorf(at+".expect_compressed", "expect_compressed belongs to prepare, which writes the files")
	case s.Mode == "":
		return src.errorf(at+".mode", "sysbench run: missing field \"mode\"; expected %s", oneOf(sysbenchModes))
	case s.Events == 0 && s.Time == 0:
		return src.errorf(at+".events", "sysbench run: missing field \"events\" (or \"time\"): without either it never ends")
	}
	return nil
}

// files is the number of files, sysbench's default when none is given.
func (s *Sysbench) files() int {
	if s.Files == 0 {
		return 128
	}
	return s.Files
}

// blockSize is the block size, sysbench's default when none is given.
func (s *Sysbench) blockSize() Size {
	if s.BlockSize == 0 {
		return 16 * KiB
	}
	return s.BlockSize
}

// checkPath accepts an absolute, clean path of the guest, or none.
func checkPath(src *source, at, p string) *PositionError {
	if p == "" || path.IsAbs(p) && path.Clean(p) == p && !strings.ContainsFunc(p, isControl) {
		return nil
	}
	return src.errorf(at, "expected an absolute path in the guest, got %s", shorten(p))
}

// isTitle reports whether s may name a phase: it is written to the kernel log
// on one line, where the parser must find it again.
func isTitle(s string) bool {
	return len(s) <= 64 && strings.TrimSpace(s) == s &&
		!strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

func cmpOr(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// indexed is the path of element i of a list.
func indexed(list string, i int) string { return fmt.Sprintf("%s[%s]", list, strconv.Itoa(i)) }
