package kernels

import (
	"fmt"
	"regexp"
	"strings"
)

// BuildError says that make failed: by the compiler's first error, not by all
// of its output.
type BuildError struct {
	Kernel  string // what was being built
	Stage   string // StageConfigure or StageCompile
	File    string // relative to the source tree where it lies in it; may be empty
	Line    int    // 0 when there is none
	Message string
	Log     string // path of the whole output
	// Host says that the cause lies outside the sources: a tool is missing, the
	// disk is full, memory ran out.
	Host bool
}

func (e *BuildError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "building %s failed", e.Kernel)
	if e.Stage == StageConfigure {
		b.Reset()
		fmt.Fprintf(&b, "configuring %s failed", e.Kernel)
	}
	if e.File != "" {
		fmt.Fprintf(&b, ": %s", e.File)
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d", e.Line)
		}
	}
	fmt.Fprintf(&b, ": %s (log: %s)", e.Message, e.Log)
	return b.String()
}

// finding is an error found in make's output. With make -j, an error may be
// followed by others that it caused or that happened beside it: the lowest
// rank wins, and among equals the first.
type finding struct {
	rank    int
	file    string
	line    int
	message string
}

const (
	rankCause   = iota // says itself what to do: a tool is missing, the disk is full
	rankSource         // an error with a place in the source
	rankProgram        // an error of a program without a place
	rankMake           // make's own complaint about a failed recipe
	rankNone
)

// errorPattern recognises one kind of line. make builds the finding from the
// groups of the expression.
type errorPattern struct {
	expr *regexp.Regexp
	make func(m []string) finding
}

// errorPatterns are tried in order; the first that matches a line holds.
var errorPatterns = []errorPattern{
	{regexp.MustCompile(`No space left on device`), func(m []string) finding {
		return finding{rank: rankCause, message: "no space left on device: free some with patchproof kernel gc, or choose another cache folder"}
	}},
	{regexp.MustCompile(`internal compiler error|Killed signal terminated program|virtual memory exhausted|Cannot allocate memory`), func(m []string) finding {
		return finding{rank: rankCause, message: "the compiler died (" + m[0] + "): too little memory for this many jobs? Use a lower -j"}
	}},
	{regexp.MustCompile(`(?:/bin/)?(?:ba|da)?sh: (?:line )?\d+: (\S+): (?:command )?not found`), func(m []string) finding {
		return needTool(m[1])
	}},
	{regexp.MustCompile(`make(?:\[\d+\])?: (\S+): (?:Command not found|No such file or directory)$`), func(m []string) finding {
		return needTool(m[1])
	}},
	{regexp.MustCompile(`env: ['‘"]?([\w.+-]+)['’"]?: No such file or directory`), func(m []string) finding {
		return needTool(m[1])
	}},
	{regexp.MustCompile(`^(\S+?):(\d+):(?:\d+:)? fatal error: ['"]?([\w/.+-]+\.h)['"]?(?:: No such file or directory| file not found)`), func(m []string) finding {
		f := finding{rankSource, m[1], atoi(m[2]), "fatal error: " + m[3] + ": no such header"}
		if hint := aptHint(m[3]); hint != "" {
			f.rank, f.message = rankCause, m[3]+" is missing: "+hint
		}
		return f
	}},
	{regexp.MustCompile(`Cannot generate ORC metadata.*(libelf-\w+)|(?:please install|Please install) .*(libelf-dev)`), func(m []string) finding {
		return finding{rank: rankCause, message: "libelf.h is missing: " + aptHint("libelf.h")}
	}},
	{regexp.MustCompile(`^(\S+?):(\d+):(?:\d+:)? (?:fatal )?error: (.*)$`), func(m []string) finding {
		return finding{rankSource, m[1], atoi(m[2]), "error: " + m[3]}
	}},
	{regexp.MustCompile(`^(\S+?):(\d+): (Error: .*)$`), func(m []string) finding { // the assembler
		return finding{rankSource, m[1], atoi(m[2]), m[3]}
	}},
	{regexp.MustCompile(`^(\S*Kconfig\S*):(\d+): ?(.*)$`), func(m []string) finding {
		if strings.Contains(m[3], "warning") {
			return finding{rank: rankNone}
		}
		return finding{rankSource, m[1], atoi(m[2]), m[3]}
	}},
	{regexp.MustCompile(`^(?:\S*ld(?:\.\w+)?: )?(\S+?\.[cS]):(\d+): (undefined reference to .*|multiple definition of .*)$`), func(m []string) finding {
		return finding{rankSource, m[1], atoi(m[2]), m[3]}
	}},
	{regexp.MustCompile(`^(?:\S*ld(?:\.\w+)?: )?(\S+?):\([^()\s]*\): (undefined reference to .*|multiple definition of .*)$`), func(m []string) finding {
		return finding{rankSource, m[1], 0, m[2]}
	}},
	{regexp.MustCompile(`^(?:\S*ld(?:\.\w+)?): error: (.*)$`), func(m []string) finding { // ld.lld
		return finding{rank: rankSource, message: "linker: " + m[1]}
	}},
	{regexp.MustCompile(`^(?:\S*/)?(?:\S*-)?ld(?:\.\w+)?: (.*)$`), func(m []string) finding {
		if strings.Contains(m[1], "warning:") || strings.Contains(m[1], "NOTE:") || strings.Contains(m[1], "in function") {
			return finding{rank: rankNone}
		}
		return finding{rank: rankProgram, message: "linker: " + m[1]}
	}},
	{regexp.MustCompile(`^ERROR: (?:modpost: )?(.*)$`), func(m []string) finding {
		return finding{rank: rankProgram, message: m[1]}
	}},
	{regexp.MustCompile(`^(?:\S*?)(?:\.o|vmlinux)?: ?error: objtool: (.*)$`), func(m []string) finding {
		return finding{rank: rankProgram, message: "objtool: " + m[1]}
	}},
	{regexp.MustCompile(`^(?:gcc|clang|cc1|\S+-gcc)(?:-\d+)?: (?:fatal )?error: (.*)$`), func(m []string) finding {
		return finding{rank: rankProgram, message: "compiler: " + m[1]}
	}},
	{regexp.MustCompile(`No rule to make target ['‘` + "`" + `"]([^'’"]+)['’"](?:, needed by ['‘` + "`" + `"]([^'’"]+)['’"])?`), func(m []string) finding {
		msg := "make has no rule for " + m[1]
		if m[2] != "" {
			msg += ", which " + m[2] + " needs"
		}
		return finding{rank: rankProgram, message: msg}
	}},
	{regexp.MustCompile(`The source tree is not clean`), func(m []string) finding {
		return finding{rank: rankCause, message: "the source tree has been built in: make mrproper before it is archived, or use a clean one"}
	}},
	{regexp.MustCompile(`^([\w./-]*Makefile[\w.]*):(\d+): \*\*\* (.*?)\.?(?:  Stop\.)?$`), func(m []string) finding {
		// A failed recipe has the form "[Makefile:1: target] Error 2" instead.
		return finding{rankProgram, m[1], atoi(m[2]), m[3]}
	}},
	{regexp.MustCompile(`^make(?:\[\d+\])?: \*\*\* (?:\[(\S+?)(?::(\d+))?(?:: ([^\]]+))?\] )?(.*)$`), func(m []string) finding {
		return makeComplaint(m)
	}},
}

// makeComplaint is the line with which make gives a target up. Those of outer
// makes repeat it for every folder; only the first counts.
func makeComplaint(m []string) finding {
	if strings.Contains(m[4], "Waiting for unfinished jobs") {
		return finding{rank: rankNone}
	}
	target := m[3]
	if target == "" {
		target = m[1]
	}
	if target == "" {
		return finding{rank: rankMake, message: m[4]}
	}
	return finding{rank: rankMake, message: "making " + target + ": " + m[4]}
}

func needTool(name string) finding {
	return finding{rank: rankCause, message: missingProgram(strings.TrimSuffix(name, ":")).Error()}
}

func atoi(s string) int {
	n := 0
	for _, c := range s {
		if n > 1<<30 {
			return n
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// errorFinder looks for the error that explains a failed build in the lines
// of make's output.
type errorFinder struct {
	best finding
	last string // the last line that says anything
}

func newErrorFinder() *errorFinder { return &errorFinder{best: finding{rank: rankNone}} }

func (f *errorFinder) line(s string) {
	s = strings.TrimRight(s, " \r\t")
	if s == "" {
		return
	}
	f.last = s
	for _, p := range errorPatterns {
		m := p.expr.FindStringSubmatch(s)
		if m == nil {
			continue
		}
		if got := p.make(m); got.rank < f.best.rank {
			f.best = got
		}
		return
	}
}

// result describes the failure. Paths below tree are made relative to it.
func (f *errorFinder) result(tree string) finding {
	r := f.best
	if r.rank == rankNone {
		r.message = f.last
		if r.message == "" {
			r.message = "make failed without a word"
		}
	}
	r.file = strings.TrimPrefix(r.file, tree+"/")
	for strings.HasPrefix(r.file, "./") || strings.HasPrefix(r.file, "../") {
		_, r.file, _ = strings.Cut(r.file, "/")
	}
	return r
}
