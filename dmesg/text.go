package dmesg

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// TextOptions choose what WriteText shows.
type TextOptions struct {
	// MaxFrames bounds the trace of each report: 0 shows none, a negative
	// number shows all.
	MaxFrames int
	// Unreliable shows the frames that the kernel marks with "?" too.
	Unreliable bool
}

// WriteText writes reports for a reader at a terminal. What comes from the log
// is sanitised.
func WriteText(w io.Writer, reports []Report, opts TextOptions) error {
	out := bufio.NewWriter(w)
	for i := range reports {
		if i > 0 {
			fmt.Fprintln(out)
		}
		writeReport(out, &reports[i], opts)
	}
	return out.Flush()
}

func writeReport(out *bufio.Writer, r *Report, opts TextOptions) {
	fmt.Fprintf(out, "%s  (%s)\n", sanitizeLine(r.Title), strings.Join(marks(r), ", "))
	if r.File != "" {
		fmt.Fprintf(out, "  at %s:%d", sanitizeLine(r.File), r.Line)
		if c := r.ConditionText(); c != "" {
			fmt.Fprintf(out, "  %s", sanitizeLine(c))
		}
		fmt.Fprintln(out)
	}
	if facts := facts(r); facts != "" {
		fmt.Fprintf(out, "  %s\n", facts)
	}
	shown, hidden := 0, 0
	for _, f := range r.Trace {
		if f.Unreliable && !opts.Unreliable {
			continue
		}
		if opts.MaxFrames >= 0 && shown >= opts.MaxFrames {
			hidden++
			continue
		}
		shown++
		fmt.Fprintf(out, "    %s\n", sanitizeLine(f.String()))
	}
	if hidden > 0 && shown > 0 {
		fmt.Fprintf(out, "    ... %d more\n", hidden)
	}
	fmt.Fprintf(out, "  fingerprint %s, bytes %d-%d\n", r.Fingerprint, r.Start, r.End)
}

func marks(r *Report) []string {
	m := []string{string(r.Kind), r.Severity.String()}
	if r.Once {
		m = append(m, "once per boot")
	}
	if r.FollowUp {
		m = append(m, "follow-up")
	}
	if r.Truncated {
		m = append(m, "truncated")
	}
	return m
}

// facts is one line about task, CPU, kernel and time.
func facts(r *Report) string {
	var parts []string
	if r.Comm != "" {
		parts = append(parts, fmt.Sprintf("%s[%d]", sanitizeLine(r.Comm), r.PID))
	}
	if r.CPU >= 0 {
		parts = append(parts, fmt.Sprintf("CPU %d", r.CPU))
	}
	if r.Release != "" {
		parts = append(parts, "kernel "+sanitizeLine(r.Release))
	}
	if r.Taint != "" {
		parts = append(parts, "tainted "+sanitizeLine(r.Taint))
	}
	if r.HasTimestamp {
		parts = append(parts, fmt.Sprintf("at %.6f s", r.Timestamp))
	}
	return strings.Join(parts, ", ")
}

// String writes a frame as kernels do, with the source position if known.
func (f Frame) String() string {
	var b strings.Builder
	if f.Unreliable {
		b.WriteString("? ")
	}
	b.WriteString(f.Function)
	if f.Size > 0 || f.Offset > 0 {
		fmt.Fprintf(&b, "+%#x/%#x", f.Offset, f.Size)
	}
	if f.Module != "" {
		fmt.Fprintf(&b, " [%s]", f.Module)
	}
	if f.File != "" {
		fmt.Fprintf(&b, " %s:%d", f.File, f.Line)
	}
	if f.Inlined {
		b.WriteString(" [inline]")
	}
	return b.String()
}
