package vm

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// statFields returns what follows the command name in a /proc/PID/stat line: the
// state is the first (field 3 in proc(5)). The name stands in parentheses and
// may contain any byte.
func statFields(stat string) []string {
	return strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
}

// statState returns the state letter of a /proc/PID/stat line, or 0.
func statState(stat string) byte {
	if f := statFields(stat); len(f) > 0 {
		return f[0][0]
	}
	return 0
}

// clockTick is the unit of times in /proc: USER_HZ is 100 on every Linux that
// Go runs on.
const clockTick = time.Second / 100

// statCPU returns the user and system time of a /proc/PID/stat line, fields 14
// and 15 in proc(5), with those of threads that have ended.
func statCPU(stat string) time.Duration {
	f := statFields(stat)
	if len(f) < 13 {
		return 0
	}
	user, errU := strconv.ParseInt(f[11], 10, 64)
	system, errS := strconv.ParseInt(f[12], 10, 64)
	if errU != nil || errS != nil {
		return 0
	}
	return time.Duration(user+system) * clockTick
}

// cpu is the processor time of a process so far, or of one that has ended, by
// what the kernel says to who waited for it (getrusage(2)).
func (p *process) cpu() time.Duration {
	select {
	case <-p.exited:
		return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
	default:
	}
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid()))
	if err != nil {
		return 0 // being reaped
	}
	return statCPU(string(data))
}
