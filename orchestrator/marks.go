package orchestrator

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// mark is a line that the harness had the guest write to its own kernel log.
// Marks prove that the log is the guest's, that it is whole, and which phase a
// report belongs to.
type mark struct {
	offset int64 // of the line's first byte in the console log
	text   string
}

const (
	markBegin = "canary begin"
	markEnd   = "canary end"
)

// phaseBegin and phaseEnd are the marks around a phase. The number tells two
// phases with one name apart.
func phaseBegin(index int, name string) string { return fmt.Sprintf("phase %d begin %s", index, name) }
func phaseEnd(index int, name string) string   { return fmt.Sprintf("phase %d end %s", index, name) }

// findMarks returns the marks with the given nonce in a console log, in order.
// Lines end in CR, LF or both: serial consoles differ.
func findMarks(log []byte, nonce string) []mark {
	var marks []mark
	tag := []byte("patchproof " + nonce + " ")
	for at := 0; ; {
		i := bytes.Index(log[at:], tag)
		if i < 0 {
			return marks
		}
		start := at + i + len(tag)
		end := start + lineLength(log[start:])
		// The kernel prints its own command line; only a line of our own
		// carries a space after the nonce and then one of our words.
		marks = append(marks, mark{
			offset: int64(1 + bytes.LastIndexAny(log[:at+i], "\r\n")),
			text:   strings.TrimSpace(string(log[start:end])),
		})
		at = end
	}
}

func lineLength(b []byte) int {
	if i := bytes.IndexAny(b, "\r\n"); i >= 0 {
		return i
	}
	return len(b)
}

// window is the part of the console log in which one phase ran.
type window struct {
	phase      int
	name       string
	start, end int64 // end is -1 while the phase is open at the end of the log
}

// phaseWindows pairs begin and end marks. A phase without an end mark, because
// the guest died in it, reaches to the next begin mark or the end of the log.
func phaseWindows(marks []mark) []window {
	var windows []window
	closeOpen := func(at int64) {
		if n := len(windows); n > 0 && windows[n-1].end < 0 {
			windows[n-1].end = at
		}
	}
	for _, m := range marks {
		fields := strings.SplitN(m.text, " ", 4)
		if len(fields) < 4 || fields[0] != "phase" {
			if m.text == markEnd {
				closeOpen(m.offset)
			}
			continue
		}
		index, err := strconv.Atoi(fields[1])
		if err != nil {
			continue
		}
		closeOpen(m.offset)
		if fields[2] == "begin" {
			windows = append(windows, window{phase: index, name: fields[3], start: m.offset, end: -1})
		}
	}
	return windows
}

// phaseAt returns the phase in whose window the offset lies. Reports printed
// between two phases belong to the earlier one: the kernel prints late, never
// early. The name is "boot" before the first phase.
func phaseAt(windows []window, offset int64) (index int, name string) {
	index, name = -1, "boot"
	for _, w := range windows {
		if offset < w.start {
			break
		}
		index, name = w.phase, w.name
	}
	return index, name
}

// canaries reports whether the log holds the first and the last mark of a run,
// in that order, and the last one after every other mark.
func canaries(marks []mark) (begin, end bool) {
	for i, m := range marks {
		switch m.text {
		case markBegin:
			begin = true
		case markEnd:
			end = begin && i == len(marks)-1
		}
	}
	return begin, end
}

// droppedLine is what a kernel prints where it has lost a part of its log.
var droppedLine = regexp.MustCompile(`\*\* \d+ printk messages dropped \*\*`)

// messagesDropped reports whether a part of the log is missing after its first
// mark. What was lost can have been a report.
func messagesDropped(log []byte, marks []mark) bool {
	return len(marks) > 0 && droppedLine.Match(log[marks[0].offset:])
}
