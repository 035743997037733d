package dmesg

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Sanitize makes text from a log safe to print. Escape sequences (CSI, OSC and
// the two-byte ones) are removed, tabs and newlines stay, carriage returns
// before a newline vanish, and every other control, format or invalid byte
// becomes U+FFFD. Bidirectional overrides count as format characters: they
// could reorder what a terminal shows.
func Sanitize(s string) string {
	if isPlain(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == 0x1b:
			i += escapeLen(s[i:])
		case c == '\r' && i+1 < len(s) && s[i+1] == '\n':
			i++
		case c == '\t' || c == '\n' || c >= 0x20 && c < 0x7f:
			b.WriteByte(c)
			i++
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			if c < 0x80 || r == utf8.RuneError || unicode.Is(unicode.C, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) {
				r = utf8.RuneError
			}
			b.WriteRune(r)
			i += n
		}
	}
	return b.String()
}

// sanitizeLine is Sanitize for a value that must stay on one line.
func sanitizeLine(s string) string {
	s = Sanitize(s)
	if strings.ContainsAny(s, "\n\t") {
		s = strings.Map(func(r rune) rune {
			if r == '\n' || r == '\t' {
				return ' '
			}
			return r
		}, s)
	}
	return strings.TrimSpace(s)
}

func isPlain(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < 0x20 && c != '\n' && c != '\t') || c >= 0x7f {
			return false
		}
	}
	return true
}

// escapeLen is the length of the escape sequence at the start of s, which
// begins with ESC. An unfinished sequence is as long as what looks like one,
// within a bound, so that a stray ESC cannot swallow the rest of a log.
func escapeLen(s string) int {
	const limit = 64
	if len(s) < 2 {
		return 1
	}
	switch c := s[1]; {
	case c == '[': // CSI: parameters, intermediates, one final byte
		for i := 2; i < len(s) && i < limit; i++ {
			if s[i] >= 0x40 && s[i] <= 0x7e {
				return i + 1
			}
			if s[i] < 0x20 || s[i] > 0x7e {
				return i
			}
		}
		return min(len(s), limit)
	case c == ']' || c == 'P' || c == '_' || c == '^' || c == 'X': // strings up to BEL or ST
		for i := 2; i < len(s) && i < limit; i++ {
			if s[i] == 0x07 {
				return i + 1
			}
			if s[i] == 0x1b || s[i] == '\n' {
				return i
			}
		}
		return 2
	case c >= 0x20 && c <= 0x7e:
		return 2
	}
	return 1
}
