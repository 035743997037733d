//go:build vm

package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

// BenchmarkVMHarness measures what the harness itself takes while guests run:
// its peak memory in MiB and its share of one processor in percent.
func BenchmarkVMHarness(b *testing.B) {
	for b.Loop() {
		c := startLongCampaign(b)
		begin, before := time.Now(), c.ticks(b)
		time.Sleep(20 * time.Second)
		used := float64(c.ticks(b)-before) / clockTicks
		b.ReportMetric(100*used/time.Since(begin).Seconds(), "%cpu")
		b.ReportMetric(float64(c.peakKiB(b))/1024, "MiB")
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait()
	}
}

// clockTicks is USER_HZ, which is 100 on every Linux that Go runs on.
const clockTicks = 100

// ticks is the processor time of the harness alone: fields 14 and 15 of
// /proc/PID/stat, see proc(5).
func (c *longCampaign) ticks(b *testing.B) int64 {
	b.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.cmd.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	// The name in field 2 may hold spaces; what follows its bracket does not.
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	var sum int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		sum += n
	}
	return sum
}

func (c *longCampaign) peakKiB(b *testing.B) int64 {
	b.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range bytes.Lines(data) {
		var n int64
		if _, err := fmt.Sscanf(string(line), "VmHWM: %d kB", &n); err == nil {
			return n
		}
	}
	b.Fatal("no VmHWM in /proc")
	return 0
}
