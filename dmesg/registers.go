package dmesg

import "bytes"

// instructionPointers are the labels of the register that says where a CPU
// was, longest first where one is a prefix of another.
var instructionPointers = [...]string{
	"RIP:", "RIP ", "EIP is at ", "EIP:", "IP:", "PC is at ", "pc :", "NIP:", "NIP ", "epc :",
	"epc   :", "Krnl PSW :", "ERA:", "pc:", "PC:", "era :", "TPC: <",
}

// parseIP reads a line that shows the instruction pointer. user is true for
// one outside the kernel, which ends the kernel's part of a trace. A kernel
// address without a symbol gives an empty frame.
func parseIP(body []byte) (f Frame, user, ok bool) {
	if len(body) > 512 {
		body = body[:512]
	}
	b := bytes.TrimLeft(body, " ")
	label := ""
	for _, l := range instructionPointers {
		if bytes.HasPrefix(b, []byte(l)) {
			label = l
			break
		}
	}
	if label == "" {
		return parseInterrupt(b)
	}
	b = bytes.TrimLeft(b[len(label):], " ")
	if seg, rest, found := cutSegment(b); found {
		if seg == "0033" || seg == "0023" || seg == "002b" || seg == "0073" || seg == "001b" {
			return f, true, true
		}
		b = rest
	}
	if label == "Krnl PSW :" {
		if i := bytes.IndexByte(b, '('); i >= 0 {
			b = b[i+1:]
		}
	}
	b = bytes.TrimLeft(trimBareAddresses(b), "(")
	f.exact = true
	if rest, ok := parseSymbol(b, &f); ok {
		parseFrameTail(moduleOf(rest), &f)
		return f, false, true
	}
	if frames, ok := parseSourceFrame(b); ok { // a symbolised log; the next line has the outer function
		return frames[0], false, true
	}
	return Frame{}, false, len(b) == 0 || isHex(b[0]) || b[0] == '[' || b[0] == '<' || bytes.HasPrefix(b, []byte("null"))
}

// moduleOf keeps only a module name directly after a symbol: registers may
// follow it on the line.
func moduleOf(rest []byte) []byte {
	t := bytes.TrimLeft(rest, " ")
	if len(t) > 0 && t[0] == '[' {
		if end := bytes.IndexByte(t, ']'); end > 0 {
			return t[:end+1]
		}
	}
	return nil
}

// cutSegment reads the code segment before an address: "0010:".
func cutSegment(b []byte) (seg string, rest []byte, ok bool) {
	if len(b) > 4 && b[4] == ':' && isHex(b[0]) && isHex(b[1]) && isHex(b[2]) && isHex(b[3]) {
		return string(b[:4]), bytes.TrimLeft(b[5:], " "), true
	}
	return "", b, false
}

// trimBareAddresses removes addresses with or without brackets before a symbol.
func trimBareAddresses(b []byte) []byte {
	for range 4 {
		word := b
		if i := bytes.IndexByte(b, ' '); i >= 0 {
			word = b[:i]
		}
		bare := bytes.Trim(word, "[]<>:")
		if len(word) == len(b) || !isAddress(bare) {
			break
		}
		b = bytes.TrimLeft(b[len(word):], " ")
	}
	return bytes.TrimLeft(b, " ")
}

// parseInterrupt reads powerpc's "--- interrupt: 700 at func+0x1/0x2".
func parseInterrupt(b []byte) (f Frame, user, ok bool) {
	if !bytes.HasPrefix(b, []byte("--- interrupt: ")) {
		return f, false, false
	}
	if _, sym, found := bytes.Cut(b, []byte(" at ")); found {
		parseSymbol(sym, &f)
	}
	return f, false, f.Function != ""
}

// isRegister recognises a line of x86 registers by the label at its start.
func isRegister(body []byte) bool {
	i := bytes.IndexByte(body[:min(len(body), 6)], ':')
	for _, c := range body[:max(i, 0)] {
		if !isDigit(c) && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return i > 1
}
