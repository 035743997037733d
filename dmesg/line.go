package dmesg

import (
	"bytes"
	"strconv"
)

// caller identifies who printed a line: a task ('T') or a CPU in interrupt
// context ('C'), as CONFIG_PRINTK_CALLER prints it. The zero caller stands for
// a log without caller ids.
type caller struct {
	kind byte
	id   uint32
}

// logLine is one message, or one part of a physical line in which messages
// were glued together.
type logLine struct {
	body     []byte // after all prefixes
	from     caller
	time     float64
	hasTime  bool
	kernel   bool // a timestamp, level or "kernel:" says that the kernel printed it
	program  bool // a log daemon says that a program printed it
	dropped  bool // printk said that it dropped messages before this one
	glued    bool // follows other text on the same physical line
	offset   int  // in the physical line; -1 when it cannot be told
	start    int64
	end      int64 // offset after the newline
	complete bool  // ended by a newline, not by the end of the log or the line limit
}

// splitLine strips the prefixes of a physical line and splits it where another
// timestamp stands in its middle: consoles shared by CPUs and by user space
// glue messages together. The line limit bounds the number of parts.
func splitLine(raw []byte, parts []logLine) []logLine {
	whole := raw
	raw, copied := cleanLine(raw)
	first := logLine{}
	rest := stripPrefix(raw, &first)
	for {
		at, after, ts := findTimestamp(rest)
		if at < 0 {
			break
		}
		first.body = rest[:at]
		if len(bytes.TrimSpace(first.body)) > 0 || first.hasTime {
			parts = append(parts, first)
		}
		dropped := first.dropped && len(parts) == 0
		offset := offsetIn(whole, rest[at:after], copied)
		first = logLine{offset: offset, time: ts, hasTime: true, kernel: true, glued: len(parts) > 0, dropped: dropped}
		rest = stripCaller(rest[after:], &first)
	}
	first.body = rest
	return append(parts, first)
}

// offsetIn tells where in the physical line a part of it begins. A part of a
// line that was copied to clean it is found by its timestamp, if there is only
// one like it; otherwise the answer is -1.
func offsetIn(whole, part []byte, copied bool) int {
	if !copied {
		return cap(whole) - cap(part) // both end with the same array
	}
	if bytes.Count(whole, part) != 1 {
		return -1
	}
	return bytes.Index(whole, part)
}

// cleanLine removes carriage returns, stray control bytes at the edges and
// escape sequences. It copies only when there is something to remove inside.
func cleanLine(b []byte) (cleaned []byte, copied bool) {
	for len(b) > 0 && (b[len(b)-1] == '\r' || b[len(b)-1] == 0) {
		b = b[:len(b)-1]
	}
	for len(b) > 0 && b[0] < 0x20 && b[0] != '\t' && b[0] != 0x1b {
		b = b[1:]
	}
	if bytes.IndexByte(b, 0x1b) < 0 {
		return b, false
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); {
		if b[i] == 0x1b {
			i += escapeLen(string(b[i:min(len(b), i+80)]))
			continue
		}
		out = append(out, b[i])
		i++
	}
	return out, true
}

// stripPrefix removes every kind of prefix that log daemons, dmesg and printk
// put before a message, and notes what they say.
func stripPrefix(b []byte, l *logLine) []byte {
	b = stripDropped(b, l)
	b = stripLevel(b, l) // syslog's own, before its date
	b = stripDaemon(b, l)
	b = stripLevel(b, l)
	b = stripFacility(b, l)
	if rest, ok := stripRecord(b, l); ok {
		return rest
	}
	if rest, ok := stripWallClock(b); ok {
		l.kernel = true
		return stripCaller(rest, l)
	}
	if n, ts := timestampAt(b); n > 0 {
		l.time, l.hasTime, l.kernel = ts, true, true
		return stripKmemleak(stripHost(stripCaller(b[n:], l)))
	}
	return stripKmemleak(b)
}

// stripHost removes "host kernel: ", which journalctl -o short-monotonic puts
// after the time.
func stripHost(b []byte) []byte {
	const most = 64 // bytes of a host's name on Linux
	word := []byte(" kernel: ")
	at := bytes.Index(b[:min(len(b), most+len(word))], word)
	if at <= 0 || bytes.ContainsAny(b[:at], " :") {
		return b
	}
	return b[at+len(word):]
}

// stripCaller removes a caller id such as "[ T123]" and the space after it.
func stripCaller(b []byte, l *logLine) []byte {
	i := 0
	if i < len(b) && b[i] == '[' {
		j := i + 1
		for j < len(b) && b[j] == ' ' {
			j++
		}
		if j+1 < len(b) && (b[j] == 'T' || b[j] == 'C') && isDigit(b[j+1]) {
			k, id := j+1, uint32(0)
			for k < len(b) && isDigit(b[k]) {
				id = id*10 + uint32(b[k]-'0')
				k++
			}
			if k < len(b) && b[k] == ']' {
				l.from = caller{b[j], id}
				i = k + 1
			}
		}
	}
	if i < len(b) && b[i] == ' ' {
		i++
	}
	return stripKmemleak(stripVendor(b[i:], l))
}

// stripKmemleak removes the name that kmemleak.verbose=1 puts before every line
// of an object's description, but not before its one-line messages.
func stripKmemleak(b []byte) []byte {
	rest, ok := bytes.CutPrefix(b, []byte("kmemleak: "))
	if ok && (bytes.HasPrefix(rest, []byte("  ")) || bytes.HasPrefix(rest, []byte("unreferenced object "))) {
		return rest
	}
	return b
}

var droppedMark = []byte(" printk messages dropped")

// stripDropped removes "** 93 printk messages dropped ** ".
func stripDropped(b []byte, l *logLine) []byte {
	if !bytes.HasPrefix(b, []byte("** ")) {
		return b
	}
	at := bytes.Index(b, droppedMark)
	if at < 0 || at > 24 {
		return b
	}
	l.dropped, l.kernel = true, true
	b = bytes.TrimLeft(b[at+len(droppedMark):], " *")
	return b
}

// stripLevel removes "<4>" and "<12>".
func stripLevel(b []byte, l *logLine) []byte {
	if len(b) < 3 || b[0] != '<' {
		return b
	}
	i := 1
	for i < len(b) && i < 4 && isDigit(b[i]) {
		i++
	}
	if i == 1 || i >= len(b) || b[i] != '>' {
		return b
	}
	l.kernel = true
	return b[i+1:]
}

// stripFacility removes what dmesg -x prints: "kern  :warn  : ".
func stripFacility(b []byte, l *logLine) []byte {
	if !bytes.HasPrefix(b, []byte("kern  :")) {
		return b
	}
	at := bytes.Index(b[7:], []byte(": "))
	if at < 0 || at > 8 {
		return b
	}
	l.kernel = true
	return b[7+at+2:]
}

// stripDaemon removes "Jan  2 03:04:05 host kernel: " and the ISO form. The
// name of the month depends on the host's language, so the time of day is what
// tells such a prefix.
func stripDaemon(b []byte, l *logLine) []byte {
	const window = 160
	if len(b) < 20 || b[0] == '[' || b[0] == ' ' || b[0] == '<' {
		return b
	}
	head := b[:min(len(b), window)]
	at := bytes.Index(head, []byte(" kernel: "))
	if at < 0 || !hasTimeOfDay(head[:at]) {
		l.program = hasTimeOfDay(b[:min(len(b), 40)]) && programLine.Match(head)
		return b
	}
	l.kernel = true
	return b[at+len(" kernel: "):]
}

// hasTimeOfDay looks for "03:04:05".
func hasTimeOfDay(b []byte) bool {
	for i := 2; i+6 <= len(b); i++ {
		if b[i] == ':' && b[i+3] == ':' && isDigit(b[i-1]) && isDigit(b[i-2]) && isDigit(b[i+1]) && isDigit(b[i+2]) && isDigit(b[i+4]) && isDigit(b[i+5]) {
			return true
		}
	}
	return false
}

// startsLikeDate accepts "2024-01-02T03:...".
func startsLikeDate(b []byte) bool {
	return len(b) >= 16 && isDigit(b[0]) && isDigit(b[3]) && b[4] == '-' && b[7] == '-' && (b[10] == 'T' || b[10] == ' ')
}

// stripWallClock removes "[Mon Jan  2 15:04:05 2023]" of dmesg -T and
// "2023-01-02T15:04:05,123456+00:00 " of dmesg --time-format iso.
func stripWallClock(b []byte) ([]byte, bool) {
	if len(b) > 26 && b[0] == '[' && b[25] == ']' && b[4] == ' ' && b[8] == ' ' && b[14] == ':' && b[17] == ':' {
		return b[26:], true
	}
	if len(b) > 20 && isDigit(b[0]) && startsLikeDate(b) && b[13] == ':' {
		if at := bytes.IndexByte(b[:min(len(b), 40)], ' '); at > 18 {
			return b[at:], true
		}
	}
	return stripHumanTime(b)
}

// timestampAt parses "[   12.345678]" at the start of b and returns its
// length, 0 when there is none.
func timestampAt(b []byte) (int, float64) {
	if len(b) < 10 || b[0] != '[' {
		return 0, 0
	}
	i := 1
	for i < len(b) && b[i] == ' ' {
		i++
	}
	start := i
	for i < len(b) && isDigit(b[i]) {
		i++
	}
	if i == start || i-start > 10 || i+7 >= len(b) || b[i] != '.' {
		return 0, 0
	}
	for j := i + 1; j <= i+6; j++ {
		if !isDigit(b[j]) {
			return 0, 0
		}
	}
	end := i + 7
	if b[end] == '@' || b[end] == ',' { // kernels of some vendors add the CPU
		for end++; end < len(b) && end < i+12 && isDigit(b[end]); end++ {
		}
	}
	if end >= len(b) || b[end] != ']' {
		return 0, 0
	}
	ts, err := strconv.ParseFloat(string(b[start:i+7]), 64)
	if err != nil {
		return 0, 0
	}
	return end + 1, ts
}

// findTimestamp returns where a timestamp stands in b and where it ends, -1
// when there is none.
func findTimestamp(b []byte) (at, after int, ts float64) {
	for from := 0; ; {
		i := bytes.IndexByte(b[from:], '[')
		if i < 0 {
			return -1, 0, 0
		}
		i += from
		if n, ts := timestampAt(b[i:]); n > 0 {
			return i, i + n, ts
		}
		from = i + 1
	}
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isHex(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// formatTime writes a timestamp as printk does.
func formatTime(t float64) string { return strconv.FormatFloat(t, 'f', 6, 64) }
