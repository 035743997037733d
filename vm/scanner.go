package vm

import (
	"bytes"
	"strings"
)

// eventKind says what the scanner saw.
type eventKind int

const (
	// eventProtocol is a line that init or the harness wrote; its text is
	// what follows the nonce.
	eventProtocol eventKind = iota
	// eventPanic is the kernel's panic line; its text is the reason.
	eventPanic
)

type event struct {
	kind eventKind
	text string
}

const (
	// maxLine bounds what is kept of a line; the protocol's are short.
	maxLine = 1024
	// tailLines is how many lines a failure can quote.
	tailLines = 24
	// panicMark is how the kernel begins its panic message, in all versions.
	panicMark = "Kernel panic - not syncing"
)

// scanner finds the protocol's lines and panics in the bytes of a serial
// console, and keeps the last lines. It needs bounded memory for any input.
type scanner struct {
	prefix []byte
	emit   func(event)
	line   []byte
	tail   []string
}

// newScanner returns a scanner for the protocol of one run. emit is called from
// Write.
func newScanner(nonce string, emit func(event)) *scanner {
	return &scanner{prefix: []byte("patchproof " + nonce + " "), emit: emit}
}

// Write implements io.Writer; it never fails.
func (s *scanner) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		chunk, rest, found := bytes.Cut(p, []byte{'\n'})
		s.append(chunk)
		if found {
			s.endLine()
		}
		p = rest
	}
	return n, nil
}

func (s *scanner) append(p []byte) {
	if room := maxLine - len(s.line); len(p) > room {
		p = p[:room]
	}
	s.line = append(s.line, p...)
}

// endLine looks at one complete line. A serial line ends in "\r\n".
func (s *scanner) endLine() {
	line := bytes.TrimRight(s.line, "\r")
	// The nonce is unknown to everything else in the guest, so the place in
	// the line does not matter: other output may stand before it.
	if _, text, ok := bytes.Cut(line, s.prefix); ok {
		s.emit(event{eventProtocol, string(bytes.TrimSpace(text))})
	} else if msg := string(message(line)); strings.HasPrefix(msg, panicMark) {
		s.emit(event{eventPanic, strings.TrimPrefix(strings.TrimPrefix(msg, panicMark), ": ")})
	}
	s.keep(line)
	s.line = s.line[:0]
}

// message strips the "[    1.234567]" and "[    T1]" that may precede a message.
func message(line []byte) []byte {
	for len(line) > 0 && line[0] == '[' {
		end := bytes.IndexByte(line, ']')
		if end < 0 {
			break
		}
		line = bytes.TrimLeft(line[end+1:], " ")
	}
	return line
}

// keep remembers the line for quoting, free of control bytes.
func (s *scanner) keep(line []byte) {
	text := printable(line)
	if strings.TrimSpace(text) == "" {
		return
	}
	if len(s.tail) == tailLines {
		copy(s.tail, s.tail[1:])
		s.tail = s.tail[:tailLines-1]
	}
	s.tail = append(s.tail, text)
}

// last returns up to n of the last lines, a line without its end included.
func (s *scanner) last(n int) []string {
	lines := append([]string{}, s.tail...)
	if text := printable(s.line); strings.TrimSpace(text) != "" {
		lines = append(lines, text)
	}
	return lines[max(0, len(lines)-n):]
}

// printable makes bytes safe for a terminal: ASCII as it is, anything else "?".
func printable(line []byte) string {
	const maxQuoted = 200
	if len(line) > maxQuoted {
		line = line[:maxQuoted]
	}
	out := make([]byte, len(line))
	for i, b := range line {
		switch {
		case b == '\t':
			out[i] = ' '
		case b < 0x20 || b >= 0x7f:
			out[i] = '?'
		default:
			out[i] = b
		}
	}
	return strings.TrimRight(string(out), " ?")
}
