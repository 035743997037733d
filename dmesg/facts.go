package dmesg

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
)

var (
	cpuLine  = regexp.MustCompile(`^CPU: ?(\d+) (?:UID: \d+ )?PID: (\d+) Comm: (.{1,40}?) (Not tainted|Tainted: [A-Z ()]*[A-Z()])  *(\S+)`)
	pidLine  = regexp.MustCompile(`^Pid: (\d+), comm: (.{1,40}?) (Not tainted|Tainted: [A-Z ()]*[A-Z()])  *(\(?\S+)`)
	lockAt   = regexp.MustCompile(`\bat: ` + pcPattern + `?(?P<func>[A-Za-z_][\w.$]*)\+0x`)
	access   = regexp.MustCompile(`\b(Read|Write) (?:of size|at addr) `)
	taskLine = regexp.MustCompile(`\bby task (.{1,40})/(\d+)`)
	lastFunc = regexp.MustCompile(`(?:last function: |\bworkfn=)([A-Za-z_]\w*)`)
	sawSrc   = regexp.MustCompile(`^` + srcPattern + ` `)
	lockTask = regexp.MustCompile(`^(\S.{0,39}?)/(\d+) (?:is trying to|just changed the state|is leaving the kernel|is freeing memory|\[HC\d)`)
	leakTask = regexp.MustCompile(`^comm "(.{1,40})", pid (\d+)`)
	atomTask = regexp.MustCompile(`^in_atomic\(\): .*\bpid: (\d+), name: (.{1,40})$`)
	relLine  = regexp.MustCompile(`^(\d+\.\d+\.\S+) #\d+ (Not tainted|Tainted: [A-Z ()]*[A-Z()])`)
	notTaint = regexp.MustCompile(`^(Not tainted|Tainted: [A-Z ()]*[A-Z()])  *(\d+\.\d+\S*)`)
)

// readFacts takes what a line states about task, CPU, kernel and access.
func (b *block) readFacts(text []byte) {
	b.readTask(text)
	if b.readOrWrite == "" && (bytes.Contains(text, []byte("Read ")) || bytes.Contains(text, []byte("Write "))) {
		if m := access.FindSubmatch(text); m != nil {
			b.readOrWrite = string(m[1])
		}
	}
	if b.comm == "" && b.rule != nil && b.rule.kind != KindBug && b.rule.kind != KindOops && bytes.Contains(text, []byte("by task ")) {
		if m := taskLine.FindSubmatch(text); m != nil {
			b.setTask(string(m[1]), string(m[2]))
		}
	}
	if b.lastFunction == "" && (bytes.HasPrefix(text, []byte("last function: ")) || bytes.HasPrefix(text, []byte("preempt="))) {
		if m := lastFunc.FindSubmatch(text); m != nil {
			b.lastFunction = string(m[1])
		}
	}
	if b.srcFile == "" && (bytes.Contains(text, []byte(".c:")) || bytes.Contains(text, []byte(".h:"))) {
		if m := sawSrc.FindSubmatch(text); m != nil {
			b.srcFile = kernelPath(string(m[1]))
			b.srcLine, _ = strconv.Atoi(string(m[2]))
		}
	}
	if len(b.items) < maxBlockItems && bytes.Contains(text, []byte("at: ")) {
		if m := lockAt.FindSubmatch(text); m != nil {
			b.items = append(b.items, item{kind: itemLockAt, frame: Frame{Function: string(m[1])}})
		}
	}
}

// readTask reads the lines that name CPU, task, taint and release.
func (b *block) readTask(text []byte) {
	if len(text) < 8 {
		return
	}
	switch c := text[0]; {
	case c == 'C' && text[1] == 'P' && b.cpu < 0:
		if m := cpuLine.FindSubmatch(text); m != nil {
			b.cpu, _ = strconv.Atoi(string(m[1]))
			b.tasked, b.taskAt = true, len(b.items)
			b.setTask(string(m[3]), string(m[2]))
			b.setKernel(string(m[4]), string(m[5]))
		}
	case c == 'P' && text[1] == 'i':
		if m := pidLine.FindSubmatch(text); m != nil {
			b.tasked = true
			b.setTask(string(m[2]), string(m[1]))
			b.setKernel(string(m[3]), string(m[4]))
		}
	case (c == 'N' || c == 'T') && b.release == "":
		if m := notTaint.FindSubmatch(text); m != nil {
			b.setKernel(string(m[1]), string(m[2]))
		}
	case c == 'c' && text[5] == '"' && b.comm == "": // kmemleak
		if m := leakTask.FindSubmatch(text); m != nil {
			b.setTask(string(m[1]), string(m[2]))
		}
	case c == 'i' && text[1] == 'n' && b.comm == "": // sleeping in an invalid context
		if m := atomTask.FindSubmatch(text); m != nil {
			b.setTask(string(m[2]), string(m[1]))
		}
	case isDigit(c) && b.release == "":
		if m := relLine.FindSubmatch(text); m != nil {
			b.setKernel(string(m[2]), string(m[1]))
		}
	}
	if b.comm == "" && b.rule != nil && b.rule.kind == KindLockdep {
		if m := lockTask.FindSubmatch(text); m != nil {
			b.setTask(string(m[1]), string(m[2]))
		}
	}
}

func (b *block) setTask(comm, pid string) {
	if b.comm == "" {
		b.comm = comm
		b.pid, _ = strconv.Atoi(pid)
	}
}

func (b *block) setKernel(taint, release string) {
	if b.release != "" {
		return
	}
	b.release = release
	if flags, ok := strings.CutPrefix(taint, "Tainted: "); ok {
		b.taint = strings.ReplaceAll(flags, " ", "")
	}
}
