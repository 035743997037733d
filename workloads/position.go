package workloads

import (
	"fmt"
	"strconv"
	"strings"
)

// PositionError says what is wrong with a plan or workload file and where.
type PositionError struct {
	// File is the name given to the loader.
	File string
	// Line and Column count from 1; both are 0 for a value that did not come
	// from a file (a flag, or a struct made in Go).
	Line, Column int
	// Message says what is wrong and what was expected, without the position.
	Message string
}

// Error renders the error as compilers do, so that editors can jump to it.
func (e *PositionError) Error() string {
	switch {
	case e.File == "": // a plan made from flags
		return e.Message
	case e.Line == 0:
		return e.File + ": " + e.Message
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
}

// position is a place in a YAML file; the zero value means "not from a file".
type position struct{ line, column int }

// source remembers where the values of a decoded document stood, so that
// checks made long after decoding can still point at them.
type source struct {
	file string
	// prefix is the path of a workload that stands inside a plan.
	prefix string
	// at maps a dotted path ("phases[2].sysbench.events") to its value.
	at map[string]position
}

// errorf makes the error for the value at path. A value that was left out has
// no position of its own: the nearest enclosing value is pointed at instead.
func (s *source) errorf(path, format string, args ...any) *PositionError {
	e := &PositionError{File: s.file, Message: fmt.Sprintf(format, args...)}
	path = s.prefix + path
	for {
		if p, ok := s.at[path]; ok {
			e.Line, e.Column = p.line, p.column
			return e
		}
		if path == "" {
			return e
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
}

// oneOf renders a list of choices for a message.
func oneOf(choices []string) string {
	if len(choices) == 1 {
		return choices[0]
	}
	return "one of " + strings.Join(choices, ", ")
}

// didYouMean is the "did you mean" part of a message about an unknown word, or
// empty when no candidate is near enough to be meant.
func didYouMean(word string, candidates []string) string {
	farthest := max(2, len(word)/3)
	if len(word) <= 3 {
		farthest = 1 // nearly every short word is two edits from another
	}
	best, distance := "", farthest+1
	for _, c := range candidates {
		d := editDistance(strings.ToLower(word), strings.ToLower(c))
		if len(word) >= 3 && strings.HasPrefix(c, word) {
			d = min(d, farthest) // an abbreviation, however long the name
		}
		if d < distance {
			best, distance = c, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// editDistance is the optimal string alignment distance: insertions,
// deletions, substitutions and swaps of neighbours cost one each. Words longer
// than any name in the schema are not worth the quadratic time.
func editDistance(a, b string) int {
	const longest = 64
	if len(a) > longest || len(b) > longest {
		return longest
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}

// shorten quotes text for a message, cut to a length that fits on a line.
func shorten(s string) string {
	const most = 60
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return strconv.Quote(s)
}
