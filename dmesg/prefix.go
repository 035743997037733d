package dmesg

import (
	"bytes"
	"regexp"
	"strconv"
)

// Prefixes that are less common than those in line.go: of phones, of programs'
// lines in a system log, of /dev/kmsg, and of dmesg for people.

// stripVendor removes what kernels of phones put after the timestamp: CPU, task
// and name, "(4)[3012:RenderThread]", or CPU and task, "c0   2208 ".
func stripVendor(b []byte, l *logLine) []byte {
	t := bytes.TrimLeft(b[:min(len(b), 48)], " ")
	if len(t) < 8 || t[0] != 'c' && t[0] != '(' || !isDigit(t[1]) {
		return b
	}
	m := vendorPrefix.FindSubmatch(t)
	if m == nil {
		return b
	}
	id, _ := strconv.ParseUint(string(m[1])+string(m[2]), 10, 32)
	l.from = caller{'T', uint32(id)}
	return b[min(len(b), 48)-len(t)+len(m[0]):]
}

var vendorPrefix = regexp.MustCompile(`^(?:\(\d+\)\[(\d{1,9}):[^\]\s]{1,16}\] ?|c\d{1,2} +(\d{1,9}) )`)

// programLine is how a log daemon begins the line of a program: date, host, name
// and process.
var programLine = regexp.MustCompile(`^(?:\p{L}{3,5}\.? +\d{1,2} \d\d:\d\d:\d\d|\d{4}-\d\d-\d\d[T ]\S+) [\w.-]+ [\w./@-]+\[\d+\]: `)

// stripRecord removes what /dev/kmsg and the extended netconsole put before a
// message, "4,501,12345678,-,caller=T911;": level, number, microseconds, flags.
func stripRecord(b []byte, l *logLine) ([]byte, bool) {
	if len(b) < 8 || !isDigit(b[0]) || bytes.IndexByte(b[:4], ',') < 0 {
		return b, false
	}
	m := recordPrefix.FindSubmatch(b[:min(len(b), 120)])
	if m == nil {
		return b, false
	}
	micros, _ := strconv.ParseUint(string(m[1]), 10, 64)
	l.time, l.hasTime, l.kernel = float64(micros)/1e6, true, true
	if id, err := strconv.ParseUint(string(m[3]), 10, 32); err == nil {
		l.from = caller{m[2][0], uint32(id)}
	}
	return b[len(m[0]):], true
}

var recordPrefix = regexp.MustCompile(`^\d{1,4},\d+,(\d{1,18}),[-c+](?:,caller=([TC])(\d+)|,[^;]*)?;`)

// stripHumanTime removes the times of dmesg -H, "[Nov 3 12:00] " and
// "[  +0.000012] ", and of journalctl -o short-unix, "1699012800.123456 host
// kernel: ".
func stripHumanTime(b []byte) ([]byte, bool) {
	if len(b) < 12 || b[0] != '1' && b[0] != '[' {
		return b, false
	}
	if c := bytes.TrimLeft(b[1:12], " "); b[0] == '1' && b[10] != '.' || b[0] == '[' && (len(c) == 0 || c[0] != '+' && (c[0] < 'A' || c[0] > 'Z')) {
		return b, false // for speed; the pattern decides
	}
	if n := len(humanTime.Find(b[:min(len(b), 100)])); n > 0 {
		return b[n:], true
	}
	return b, false
}

var humanTime = regexp.MustCompile(`^(?:\[ *\+\d+\.\d{6}\] ?|\[[A-Z][a-z]{2} +\d{1,2} \d\d:\d\d\] ?|1\d{9}\.\d{6} [\w.-]+ kernel: )`)
