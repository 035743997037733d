package site

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"patchproof/dmesg"
	"patchproof/results"
)

// How much of a console log a page shows, in bytes. Nearly all logs are shown
// whole; of a larger one, the beginning, the end, and what is around reports.
const (
	logWhole  = 256 << 10 // a log up to this size is shown whole
	logHead   = 4 << 10
	logTail   = 32 << 10
	logBefore = 8 << 10 // before a report
	logAfter  = 2 << 10 // after it
	logReport = 64 << 10
	logTotal  = 256 << 10 // of a larger log
)

// logPart is a stretch of a console log.
type logPart struct {
	// Text has passed dmesg.Sanitize.
	Text string
	// Report is the number of the report, from 1, whose lines these are; 0 for
	// what lies between reports.
	Report int
	// Left is the number of bytes that are left out here; Text is empty then.
	Left int64
}

// consoleLog is a console log as a page shows it.
type consoleLog struct {
	Size  int64
	Parts []logPart
	// Shown says of each report, by its number less 1, whether it is in Parts.
	Shown []bool
}

// Whole says that nothing of the log is left out.
func (l *consoleLog) Whole() bool {
	return !slices.ContainsFunc(l.Parts, func(p logPart) bool { return p.Left > 0 })
}

// openLog opens a console log. It returns nil without an error when there is
// none. What is no regular file is not followed: a folder that came from
// elsewhere must not make pages of the rest of the disk.
func openLog(path string) (*os.File, int64, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("console log: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("console log %s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, fmt.Errorf("console log: %w", err)
	}
	return f, info.Size(), nil
}

// span is a range of bytes of a log.
type span struct{ from, to int64 }

// reportSpan is the range of a report, with its number from 1.
type reportSpan struct {
	span
	number int
}

// readLog cuts a log into parts, with the reports of the run highlighted.
func readLog(r io.ReaderAt, size int64, reports []results.ReportRecord) (*consoleLog, error) {
	marks := reportSpans(reports, size)
	l := &consoleLog{Size: size, Shown: make([]bool, len(reports))}
	var at int64
	for _, s := range shownSpans(marks, size) {
		data := make([]byte, s.to-s.from)
		// The log of a guest that runs can shrink under us only by harm from
		// outside; what is missing is then missing from the page.
		n, err := r.ReadAt(data, s.from)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read the console log: %w", err)
		}
		s, data = wholeLines(s, data[:n], size)
		if s.from > at {
			l.Parts = append(l.Parts, logPart{Left: s.from - at})
		}
		l.cut(s, data, marks)
		at = s.to
	}
	if at < size {
		l.Parts = append(l.Parts, logPart{Left: size - at})
	}
	return l, nil
}

// reportSpans returns the ranges of reports, in the order of their start.
func reportSpans(reports []results.ReportRecord, size int64) []reportSpan {
	var marks []reportSpan
	for i, rep := range reports {
		if rep.Start < 0 || rep.Start >= size || rep.End <= rep.Start {
			continue
		}
		marks = append(marks, reportSpan{span{rep.Start, min(rep.End, size)}, i + 1})
	}
	slices.SortStableFunc(marks, func(a, b reportSpan) int { return cmp.Compare(a.from, b.from) })
	return marks
}

// shownSpans picks what a page shows, in order and without overlaps.
func shownSpans(marks []reportSpan, size int64) []span {
	if size <= logWhole {
		return []span{{0, size}}
	}
	spans := []span{{0, logHead}, {size - logTail, size}}
	total := int64(logHead + logTail)
	for _, m := range marks {
		s := span{max(0, m.from-logBefore), min(size, min(m.to, m.from+logReport)+logAfter)}
		if total += s.to - s.from; total > logTotal {
			break
		}
		spans = append(spans, s)
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	merged := spans[:1]
	for _, s := range spans[1:] {
		if last := &merged[len(merged)-1]; s.from <= last.to {
			last.to = max(last.to, s.to)
		} else {
			merged = append(merged, s)
		}
	}
	return merged
}

// wholeLines leaves the torn lines at the ends of a span out, unless there is
// nothing but one long line.
func wholeLines(s span, data []byte, size int64) (span, []byte) {
	s.to = s.from + int64(len(data))
	if s.from > 0 {
		if i := bytes.IndexByte(data, '\n'); i >= 0 && i+1 < len(data) {
			data, s.from = data[i+1:], s.from+int64(i+1)
		}
	}
	if s.to < size {
		if i := bytes.LastIndexByte(data, '\n'); i >= 0 {
			data, s.to = data[:i+1], s.from+int64(i+1)
		}
	}
	return s, data
}

// cut adds a span to the parts, cut where reports begin and end. Of reports
// that overlap, the later one gets what is left.
func (l *consoleLog) cut(s span, data []byte, marks []reportSpan) {
	at := s.from
	add := func(to int64, report int) {
		if to > at || report > 0 {
			l.Parts = append(l.Parts, logPart{Text: dmesg.Sanitize(string(data[at-s.from : to-s.from])), Report: report})
			at = to
		}
	}
	for _, m := range marks {
		if m.from < s.from || m.from >= s.to {
			continue
		}
		add(max(at, m.from), 0)
		add(max(at, min(m.to, s.to)), m.number)
		l.Shown[m.number-1] = true
	}
	add(s.to, 0)
}
