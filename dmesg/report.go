package dmesg

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const maxTitle = 200 // bytes

// isReport says whether what was read makes a report.
func (b *block) isReport() bool {
	switch {
	case b.rule == nil:
		return b.frames > 1 && b.registers // cut between "cut here" and the header
	case b.needsProof():
		return b.frames > 1 && b.proofLine <= maxProofLine
	case b.unstamped: // a program may have printed it
		return b.frames > 1 && b.proofLine <= maxProofLine || b.registers || b.namesLock()
	}
	return true
}

// report turns a finished block into a Report.
func (b *block) report(bootRelease string) Report {
	if b.rule == nil {
		b.rule, b.groups = cutHereRule, map[string]string{}
		b.interrupted = true
	}
	r := Report{Kind: b.rule.kind, Severity: b.rule.sev, Timestamp: b.time, HasTimestamp: b.timed,
		Start: b.start, End: b.end, Text: Sanitize(string(b.text)), Truncated: b.truncated()}
	r.Function, r.HeaderFunction = b.guilty()
	if r.Function == "" {
		r.HeaderFunction = sanitizeLine(r.HeaderFunction)
	}
	b.fillSource(&r)
	b.fillTask(&r)
	r.Release = sanitizeLine(b.release)
	if r.Release == "" {
		r.Release = bootRelease
	}
	r.Taint = sanitizeLine(b.taint)
	r.Title = b.title(r.Function)
	r.Trace = b.trace()
	r.Fingerprint = fingerprint(&r)
	return r
}

// cutHereRule stands for a report whose header was lost.
var cutHereRule = &compiledRule{rule: rule{kind: KindWarning, sev: SeverityMedium, title: "WARNING in {func}",
	bare: "WARNING: header cut", guilt: guiltWarn, ending: endTrace, cut: true}}

func (b *block) fillSource(r *Report) {
	if file := b.groups["file"]; file != "" {
		r.File = kernelPath(sanitizeLine(file))
		r.Line, _ = strconv.Atoi(b.groups["line"])
	} else if b.srcFile != "" {
		r.File, r.Line = b.srcFile, b.srcLine
	}
	if expr := b.groups["expr"]; expr != "" {
		r.Condition = sanitizeLine(expr)
	}
	if r.Condition == "" && b.isNewStyle() && len(b.before) == 1 && isExpression(b.before[0]) {
		// 6.19 and later print the expression alone on the line before.
		r.Condition = sanitizeLine(b.before[0])
	}
}

var (
	operators = regexp.MustCompile(`[()!<>=&|]|->`)
	keywords  = regexp.MustCompile(`\b(?:struct|unsigned|const|sizeof|union|enum) `)
	twoWords  = regexp.MustCompile(`[A-Za-z0-9_,.:] +[A-Za-z_]`)
)

// isExpression tells C from English: the message of WARN() stands where the
// expression of WARN_ON() does.
func isExpression(s string) bool {
	return operators.MatchString(s) && !twoWords.MatchString(keywords.ReplaceAllString(strings.ReplaceAll(s, ", ", ","), ""))
}

// isNewStyle recognises "WARNING: FILE:LINE at FUNC, CPU#0: COMM/PID".
func (b *block) isNewStyle() bool {
	return b.rule.kind == KindWarning && strings.Contains(b.header, ", CPU#")
}

func (b *block) fillTask(r *Report) {
	r.Comm, r.PID, r.CPU = b.comm, b.pid, b.cpu
	if c := b.groups["comm"]; c != "" {
		r.Comm = c
	}
	if p := b.groups["pid"]; p != "" {
		r.PID, _ = strconv.Atoi(p)
	}
	for _, key := range []string{"cpu", "cpu2"} {
		if c := b.groups[key]; c != "" {
			r.CPU, _ = strconv.Atoi(c)
		}
	}
	r.Comm = sanitizeLine(r.Comm)
}

// trace is the stack of the report's own moment: from the register dump or the
// first "Call Trace:" on, not the stacks of allocations and older locks.
func (b *block) trace() []Frame {
	items, start := b.ownItems()
	for i, it := range items {
		if it.kind == itemTrace || it.kind == itemIP {
			start += i
			break
		}
		if it.kind == itemFrame && b.rule.ending == endRule {
			break // sanitizers without a heading over their first trace
		}
	}
	var frames []Frame
	traces := 0
	for _, it := range b.items[start:] {
		switch it.kind {
		case itemFrame:
			if len(frames) != 1 || !frames[0].exact || frames[0].Function != it.frame.Function || frames[0].Offset != it.frame.Offset {
				frames = append(frames, it.frame) // arm64 prints the top frame twice
			}
		case itemIP:
			if it.frame.Function != "" && len(frames) == 0 {
				frames = append(frames, it.frame)
			}
		case itemTrace:
			if traces++; traces > 1 && len(frames) > 1 {
				return frames
			}
		case itemSection, itemUserIP:
			if len(frames) > 1 {
				return frames
			}
		}
	}
	return frames
}

// truncated says whether a part of the report is missing.
func (b *block) truncated() bool {
	if b.dropped || b.rule.cut && !b.ended {
		return true
	}
	if b.rule.ending == endLine || b.closed && b.ended {
		return false
	}
	if b.rule.guilt != guiltNone && b.rule.guilt != guiltHeader && !b.rule.kernelOnly && b.frames == 0 && !b.namesLock() {
		return true
	}
	return (b.atEOF || b.interrupted) && !b.ended && b.rule.ending != endOpen
}

// namesLock says whether a held lock is listed: the complaint about locks that
// a task takes along to user space comes without a trace.
func (b *block) namesLock() bool {
	return b.rule.guilt == guiltLockAt && slices.ContainsFunc(b.items, func(it item) bool { return it.kind == itemLockAt })
}

var titleGap = regexp.MustCompile(`\{(\w+)\}`)

// title fills the rule's template. Parts without a value vanish with the " in "
// before them.
func (b *block) title(function string) string {
	template := b.rule.title
	if function == "" {
		if b.rule.bare != "" {
			template = b.rule.bare
		}
		template = strings.Replace(template, " in {func}", "", 1)
	}
	out := titleGap.ReplaceAllStringFunc(template, func(name string) string {
		switch name = name[1 : len(name)-1]; name {
		case "func":
			return function
		case "rw":
			return b.readOrWrite
		case "also":
			return alsoFunction(b.groups["also"])
		}
		return b.groups[name]
	})
	out = sanitizeLine(out)
	out = strings.Join(strings.Fields(out), " ")
	if len(out) > maxTitle {
		out = strings.ToValidUTF8(out[:maxTitle], "")
	}
	return out
}

// alsoFunction cleans the second function of a KCSAN header.
func alsoFunction(s string) string {
	s = strings.TrimPrefix(s, " / ")
	if s == "" {
		return ""
	}
	s, _, _ = strings.Cut(s, "+0x")
	return " / " + baseFunction(s)
}

var variable = regexp.MustCompile(`0x[0-9a-fA-F]+|\b[0-9a-f]{8,16}\b|\d+`)

// fingerprint identifies a report across builds and runs: no addresses,
// offsets, numbers, CPUs, tasks or line numbers take part. Traces take part
// only when no function is known, because inlining and callers differ.
func fingerprint(r *Report) string {
	parts := []string{string(r.Kind), variable.ReplaceAllString(r.Title, "N"), r.Function, r.File, withoutSpace(r.Condition)}
	if r.Function == "" {
		n := 0
		for _, f := range r.Trace {
			base := baseFunction(f.Function)
			if f.Unreliable || everyKind.has(base) {
				continue
			}
			parts = append(parts, base)
			if n++; n == 3 {
				break
			}
		}
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:8])
}

// FingerprintWithoutCondition is the fingerprint that r has where the source is
// not at hand, and Annotate cannot know the condition.
func (r *Report) FingerprintWithoutCondition() string {
	plain := *r
	plain.Condition = ""
	return fingerprint(&plain)
}
