package vm

import "strings"

// statState returns the state letter of a /proc/PID/stat line, or 0. The
// command name before it stands in parentheses and may contain any byte.
func statState(stat string) byte {
	_, rest, ok := strings.Cut(stat[strings.LastIndexByte(stat, ')')+1:], " ")
	if !ok || rest == "" {
		return 0
	}
	return rest[0]
}
