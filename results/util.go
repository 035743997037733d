package results

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// mapSpace turns line breaks and tabs into spaces.
func mapSpace(s string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case '\n', '\t', '\r':
			return ' '
		}
		return r
	}, s)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// wrap breaks text at spaces into lines of at most width columns, the first
// after first and the others after rest. Words longer than a line are cut, so
// that no line is ever longer.
func wrap(text, first, rest string, width int) string {
	var b strings.Builder
	b.WriteString(first)
	column, start := len([]rune(first)), true
	indent := len([]rune(rest))
	for _, word := range strings.Fields(text) {
		w := []rune(word)
		if !start && column+1+len(w) > width {
			b.WriteString("\n" + rest)
			column, start = indent, true
		}
		if !start {
			b.WriteByte(' ')
			column++
		}
		for column+len(w) > width && width > indent {
			n := max(1, width-column)
			b.WriteString(string(w[:n]) + "\n" + rest)
			w, column = w[n:], indent
		}
		b.WriteString(string(w))
		column += len(w)
		start = false
	}
	b.WriteByte('\n')
	return b.String()
}

// ShellQuote writes a command line that a shell reads back as the same words.
func ShellQuote(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		if w != "" && !strings.ContainsFunc(w, needsQuote) {
			quoted[i] = w
		} else {
			quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}

func needsQuote(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./=:,+@%^", r))
}
