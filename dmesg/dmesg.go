// Package dmesg reads kernel logs and finds the reports in them: warnings,
// BUGs, oopses, panics, sanitizer findings, lockdep splats, stalls, hangs and
// the quieter complaints of file systems and the memory killer.
//
// The package is pure: bytes in, reports out. It reads nothing but the reader
// it is given (Symbolizer, which opens a vmlinux, is the one exception and
// lives in files of its own). Log text is untrusted, so memory is bounded, work
// is linear in the size of the log, and text meant for a terminal goes through
// Sanitize.
package dmesg

import (
	"fmt"
	"io"
	"strconv"
)

// Kind groups reports by what the kernel complains about. The strings are
// stable: signatures in plan files name them.
type Kind string

// The kinds. KindOther is for reports of the "INFO:" family and others that
// fit no group.
const (
	KindWarning       Kind = "WARNING"
	KindBug           Kind = "BUG"
	KindOops          Kind = "Oops"
	KindPanic         Kind = "panic"
	KindKASAN         Kind = "KASAN"
	KindKMSAN         Kind = "KMSAN"
	KindKCSAN         Kind = "KCSAN"
	KindKFENCE        Kind = "KFENCE"
	KindUBSAN         Kind = "UBSAN"
	KindLockdep       Kind = "lockdep"
	KindHungTask      Kind = "INFO-hung-task"
	KindRCUStall      Kind = "RCU-stall"
	KindSoftLockup    Kind = "soft-lockup"
	KindHardLockup    Kind = "hard-lockup"
	KindMemoryLeak    Kind = "memory-leak"
	KindFilesystem    Kind = "filesystem"
	KindIO            Kind = "io-error"
	KindOOM           Kind = "OOM"
	KindSegfault      Kind = "segfault"
	KindAllocFailure  Kind = "allocation-failure"
	KindMachineCheck  Kind = "machine-check"
	KindOther         Kind = "other"
	kindContinuesOnly Kind = "" // a header that only continues a report
)

// Severity orders reports. Low: the kernel works on (user programs, file
// systems, memory pressure). Medium: a warning that the kernel survives. High:
// memory safety, deadlock, a dead task or a dead machine.
type Severity int

// The severities, in order.
const (
	SeverityLow Severity = iota
	SeverityMedium
	SeverityHigh
)

var severityNames = [...]string{"low", "medium", "high"}

// String returns "low", "medium" or "high".
func (s Severity) String() string {
	if s < 0 || int(s) >= len(severityNames) {
		return "severity(" + strconv.Itoa(int(s)) + ")"
	}
	return severityNames[s]
}

// MarshalText implements encoding.TextMarshaler.
func (s Severity) MarshalText() ([]byte, error) {
	if s < 0 || int(s) >= len(severityNames) {
		return nil, fmt.Errorf("severity %d does not exist", int(s))
	}
	return []byte(severityNames[s]), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Severity) UnmarshalText(text []byte) error {
	v, err := ParseSeverity(string(text))
	if err != nil {
		return err
	}
	*s = v
	return nil
}

// ParseSeverity is the inverse of String.
func ParseSeverity(name string) (Severity, error) {
	for i, n := range severityNames {
		if n == name {
			return Severity(i), nil
		}
	}
	return 0, fmt.Errorf("unknown severity %q: use low, medium or high", name)
}

// Frame is one entry of a stack trace, innermost first.
type Frame struct {
	Function   string `json:"function"`
	Offset     uint64 `json:"offset"`         // bytes from the start of Function
	Size       uint64 `json:"size,omitempty"` // bytes of Function, 0 when unknown
	Module     string `json:"module,omitempty"`
	Unreliable bool   `json:"unreliable,omitempty"` // printed with "?" or "(unreliable)"
	File       string `json:"file,omitempty"`       // from a Symbolizer or from the log
	Line       int    `json:"line,omitempty"`
	Inlined    bool   `json:"inlined,omitempty"` // inlined into the next frame

	// exact says that Offset is the instruction itself, from a register dump,
	// and not a return address.
	exact bool
}

// Report is one event in a kernel log.
type Report struct {
	Kind     Kind     `json:"kind"`
	Severity Severity `json:"severity"`
	Title    string   `json:"title"` // in the style of the kernel lists
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Function string   `json:"function"` // the guilty function, as in Title
	// HeaderFunction is the function that the kernel's own header or
	// instruction pointer names, "" when there is none.
	HeaderFunction string `json:"header_function,omitempty"`
	// Condition is the source text of the failed condition, such as
	// "inode->csum_bytes". It comes from Annotate or from the headers of new
	// kernels. Macro is the macro around it, such as "WARN_ON".
	Condition string `json:"condition,omitempty"`
	Macro     string `json:"macro,omitempty"`
	Once      bool   `json:"once,omitempty"` // printed at most once a boot

	Comm         string  `json:"comm,omitempty"`
	PID          int     `json:"pid"`
	CPU          int     `json:"cpu"`             // -1 when the log does not say
	Taint        string  `json:"taint,omitempty"` // flags, such as "GW"; "" for not tainted or unknown
	Release      string  `json:"release,omitempty"`
	Timestamp    float64 `json:"timestamp,omitempty"` // seconds since boot, when HasTimestamp
	HasTimestamp bool    `json:"has_timestamp"`
	Trace        []Frame `json:"trace,omitempty"`

	Start int64  `json:"start"` // byte offset of the first line in the log
	End   int64  `json:"end"`   // byte offset after the last line
	Text  string `json:"text,omitempty"`

	Truncated   bool   `json:"truncated"` // the log ends, or was cut, inside the report
	FollowUp    bool   `json:"follow_up"` // a tainting report came before it in the same boot
	Fingerprint string `json:"fingerprint"`
}

// ConditionText returns the condition as it stands in the source, such as
// "WARN_ON(inode->csum_bytes)", or "" when it is not known.
func (r *Report) ConditionText() string {
	switch {
	case r.Condition == "":
		return ""
	case r.Macro == "":
		return r.Condition
	}
	return r.Macro + "(" + r.Condition + ")"
}

// Parse reads a whole log and returns its reports in the order in which they
// start. The error is the reader's; reports found before it are returned too.
func Parse(r io.Reader, opts ...Option) ([]Report, error) {
	var reports []Report
	p := NewParser(func(rep Report) { reports = append(reports, rep) }, opts...)
	_, err := io.Copy(p, onlyReader{r})
	p.Close() // never fails
	return reports, err
}

// onlyReader hides a WriterTo, which could hand the parser the log in one
// piece of any size; the parser copes, but a plain copy keeps buffers small.
type onlyReader struct{ io.Reader }
