package dmesg

import (
	"bytes"
	"strconv"
	"strings"
)

// parseFrame reads one line of a stack trace. It knows the formats of x86,
// arm, arm64, powerpc, riscv and s390 from 2.6 on, of kmemleak and SLUB, and
// frames that a script has already symbolised. A 32-bit arm line names two
// functions; both are returned, the callee first.
func parseFrame(body []byte) (frames []Frame, ok bool) {
	if len(body) > 512 {
		body = body[:512]
	}
	b := trimContextMarks(body)
	indented := len(b) > 0 && (b[0] == ' ' || b[0] == '\t')
	b = bytes.TrimLeft(b, " \t")
	b, addresses := trimAddresses(b)
	if addresses == 0 && !indented && !isBareFrame(b) {
		return nil, false
	}
	f := Frame{}
	if rest, found := bytes.CutPrefix(b, []byte("? ")); found {
		f.Unreliable = true
		b = bytes.TrimLeft(rest, " ")
	}
	if addresses > 0 && len(b) > 0 && b[0] == '(' {
		return parseArmFrame(b)
	}
	if callee, rest, found := bytes.Cut(b, []byte(" from ")); found && isSymbol(callee) {
		return parseFromFrame(callee, rest)
	}
	rest, ok := parseSymbol(b, &f)
	if !ok {
		return parseSourceFrame(b)
	}
	parseFrameTail(rest, &f)
	return []Frame{f}, true
}

// isBareFrame accepts a frame whose indentation a log daemon or a mail program
// has removed: the symbol with offset and size is all that the line holds, except
// for a module or a place in the source.
func isBareFrame(b []byte) bool {
	b = bytes.TrimPrefix(b, []byte("? "))
	if end := bytes.IndexByte(b, ' '); end >= 0 {
		tail := b[end+1:]
		_, _, source := splitSource(string(tail))
		if module := len(tail) > 2 && tail[0] == '[' && tail[len(tail)-1] == ']'; !module && !source {
			return false
		}
		b = b[:end]
	}
	plus := bytes.Index(b, []byte("+0x"))
	return plus > 0 && bytes.Contains(b[plus:], []byte("/0x")) && isSymbol(b[:plus])
}

// trimContextMarks removes "<IRQ> " and the like at the start of a frame.
func trimContextMarks(b []byte) []byte {
	for {
		t := bytes.TrimLeft(b, " ")
		if len(t) < 4 || t[0] != '<' {
			return b
		}
		end := bytes.IndexByte(t, '>')
		if end < 0 || end > 16 || !isUpperWord(bytes.TrimPrefix(t[1:end], []byte("<"))) { // old kernels: "<<EOE>>"
			return b
		}
		b = append([]byte(" "), bytes.TrimPrefix(t[end+1:], []byte(">"))...)
	}
}

func isUpperWord(b []byte) bool {
	for i, c := range b {
		if !(c >= 'A' && c <= 'Z' || c == '#' || i == 0 && c == '/') {
			return false
		}
	}
	return len(b) > 0
}

// trimAddresses removes up to three "[<ffffffff81000000>]", "[c000...]" or
// "[<(ptrval)>]" with what stands between them, and "(" of s390.
func trimAddresses(b []byte) ([]byte, int) {
	n := 0
	if len(b) > 2 && b[0] == '(' && b[1] == '[' {
		b = b[1:]
	}
	for n < 3 && len(b) > 3 && b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		if end < 0 || end > 32 || !isAddress(b[1:end]) {
			break
		}
		n++
		b = bytes.TrimLeft(b[end+1:], " ")
	}
	return b, n
}

// isAddress accepts what stands in the square brackets of a frame.
func isAddress(b []byte) bool {
	b = bytes.Trim(b, "<> ")
	if string(b) == "inline" || bytes.Contains(b, []byte("ptrval")) {
		return true
	}
	b = bytes.TrimPrefix(b, []byte("0x"))
	if len(b) < 8 || len(b) > 16 {
		return false
	}
	for _, c := range b {
		if !isHex(c) {
			return false
		}
	}
	return true
}

// parseSymbol reads "name+0x1f/0x20" into f.
func parseSymbol(b []byte, f *Frame) (rest []byte, ok bool) {
	plus := bytes.Index(b, []byte("+0x"))
	if plus <= 0 || !isSymbol(b[:plus]) {
		return nil, false
	}
	offset, n := parseHex(b[plus+3:])
	if n == 0 {
		return nil, false
	}
	rest = b[plus+3+n:]
	size := uint64(0)
	if bytes.HasPrefix(rest, []byte("/0x")) {
		size, n = parseHex(rest[3:])
		rest = rest[3+n:]
	}
	f.Function, f.Offset, f.Size = string(b[:plus]), offset, size
	return rest, true
}

// isSymbol accepts names of C and Rust functions.
func isSymbol(b []byte) bool {
	if len(b) == 0 || len(b) > 255 || isDigit(b[0]) {
		return false
	}
	for i, c := range b {
		if isWordByte(c) || c == '.' || c == '$' {
			continue
		}
		if i > 0 && (c == ':' || c == '<' || c == '>') && bytes.Contains(b, []byte("::")) {
			continue
		}
		return false
	}
	return true
}

func parseHex(b []byte) (v uint64, n int) {
	for n < len(b) && n < 16 && isHex(b[n]) {
		n++
	}
	v, err := strconv.ParseUint(string(b[:n]), 16, 64)
	if err != nil {
		return 0, 0
	}
	return v, n
}

// parseFrameTail reads "[module]", "(unreliable)" and "file.c:12 [inline]".
func parseFrameTail(b []byte, f *Frame) {
	for _, word := range strings.Fields(string(b)) {
		if word = strings.TrimRight(word, ")"); word == "" {
			continue
		}
		switch {
		case word == "[inline]":
			f.Inlined = true
		case word == "(unreliable":
			f.Unreliable = true
		case word[0] == '[' && f.Module == "" && isModule(strings.Trim(word, "[]")):
			f.Module = strings.Trim(word, "[]")
		case f.File == "":
			if file, line, ok := splitSource(word); ok {
				f.File, f.Line = file, line
			}
		}
	}
}

// isModule accepts the name of a module.
func isModule(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isWordByte(s[i]) && s[i] != '-' {
			return false
		}
	}
	return s != ""
}

// parseArmFrame reads "(callee+0x0/0x1) from [<8010e300>] (caller+0x18/0x1c)".
func parseArmFrame(b []byte) ([]Frame, bool) {
	end := bytes.IndexByte(b, ')')
	if end < 0 {
		return nil, false
	}
	callee := b[1:end]
	if plus := bytes.IndexByte(callee, '+'); plus > 0 {
		callee = callee[:plus]
	}
	_, rest, found := bytes.Cut(b[end+1:], []byte("from "))
	if !found || !isSymbol(callee) {
		f := Frame{}
		if _, ok := parseSymbol(b[1:end], &f); ok { // s390 and mips put one symbol in brackets
			return []Frame{f}, true
		}
		return nil, false
	}
	rest, _ = trimAddresses(bytes.TrimLeft(rest, " "))
	return parseFromFrame(callee, bytes.Trim(rest, "() "))
}

func parseFromFrame(callee, rest []byte) ([]Frame, bool) {
	frames := []Frame{{Function: string(callee)}}
	f := Frame{}
	if tail, ok := parseSymbol(bytes.TrimLeft(rest, " "), &f); ok {
		parseFrameTail(tail, &f)
		frames = append(frames, f)
	}
	return frames, true
}

// parseSourceFrame reads "name fs/inode.c:12 [inline]" of symbolised logs.
func parseSourceFrame(b []byte) ([]Frame, bool) {
	words := strings.Fields(string(b))
	if len(words) < 2 || len(words) > 4 || !isSymbol([]byte(words[0])) {
		return nil, false
	}
	file, line, ok := splitSource(words[1])
	if !ok {
		return nil, false
	}
	return []Frame{{Function: words[0], File: file, Line: line, Inlined: words[len(words)-1] == "[inline]"}}, true
}

// baseFunction removes what compilers append to a function's name: ".isra.0",
// ".constprop.0", ".part.0", ".cold", ".llvm.123".
func baseFunction(name string) string {
	if i := strings.IndexByte(name, '.'); i > 0 {
		return name[:i]
	}
	return name
}
