package workloads

import (
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// dialect is how one generation of sysbench is spoken to.
type dialect struct {
	// head names the test, threads, events and time are option names.
	head                  string
	threads, events, time string
	// isOld marks 0.4 and 0.5: threads race for the last request, so that a
	// run may do up to one more request a thread than asked for, and offsets
	// are always distributed uniformly.
	isOld bool
}

var (
	dialectOld = dialect{head: "--test=fileio", threads: "--num-threads", events: "--max-requests", time: "--max-time", isOld: true}
	dialectNew = dialect{head: "fileio", threads: "--threads", events: "--events", time: "--time"}
)

var versionText = regexp.MustCompile(`\d{1,6}\.\d{1,6}(?:\.\d{1,6})*`)

// sysbenchDialect chooses the dialect for a version, or for what
// "sysbench --version" prints.
func sysbenchDialect(versionOutput string) (dialect, error) {
	v := versionText.FindString(versionOutput)
	major, rest, _ := strings.Cut(v, ".")
	minor, _, _ := strings.Cut(rest, ".")
	switch {
	case v == "":
		return dialect{}, fmt.Errorf("the version of the guest image's sysbench is not known (got %s); install sysbench on this machine", shorten(versionOutput))
	case major == "0" && (minor == "4" || minor == "5"):
		return dialectOld, nil
	case atoi(major) >= 1:
		return dialectNew, nil
	}
	return dialect{}, fmt.Errorf("sysbench %s is not supported; use 0.4.12, 0.5 or 1.0", v)
}

func (c *compiler) sysbench(s *Sysbench, at string) (Step, *PositionError) {
	d, err := sysbenchDialect(c.tools.SysbenchVersion)
	if err != nil {
		return Step{}, c.errorf(at, "%v", err)
	}
	if d.isOld && s.RandType != "" && s.RandType != "uniform" {
		return Step{}, c.errorf(at+".rand_type", "sysbench %s knows uniform offsets only", versionText.FindString(c.tools.SysbenchVersion))
	}
	dir := cmpOr(s.Dir, c.workFolder())
	cd := quoteWords([]string{"cd", dir})
	command := lines(cd, quoteWords(append(append([]string{"sysbench"}, s.words(d)...), s.Action)))
	step := Step{Command: command, Checks: []string{"exit status 0"}, Check: checkSysbenchStatus(s.Action)}
	switch s.Action {
	case "prepare":
		step.Checks = append(step.Checks, fmt.Sprintf("%v written", s.TotalSize))
		if len(s.Flags) > 0 {
			step.Checks = append(step.Checks, "flags are left out: files written with O_DIRECT are not compressed")
		}
		step.Check = both(step.Check, checkWritten(s.TotalSize))
		if s.ExpectCompressed > 0 {
			return c.compressed(step, s, dir, at)
		}
	case "run":
		step.Checks = append(step.Checks, s.eventsInWords())
		step.Check = both(step.Check, s.checkEvents(d))
	}
	return step, nil
}

// words are sysbench's options for the phase, without the action.
func (s *Sysbench) words(d dialect) []string {
	words := []string{d.head}
	add := func(option, value string) { words = append(words, option+"="+value) }
	if s.Action == "run" {
		add(d.threads, strconv.Itoa(max(1, s.Threads)))
		add(d.events, strconv.Itoa(s.Events))
		// 1.0 stops after ten seconds, with status 0, unless told not to
		add(d.time, strconv.Itoa(int(time.Duration(s.Time)/time.Second)))
	}
	add("--file-num", strconv.Itoa(s.files()))
	if s.Action == "cleanup" {
		return words
	}
	add("--file-total-size", strconv.FormatInt(int64(s.TotalSize), 10))
	add("--file-block-size", strconv.FormatInt(int64(s.blockSize()), 10))
	if s.Action == "prepare" {
		// prepare with a mode of seqwr makes no files, and with flags of
		// direct makes files that are not compressed: give it neither
		return words
	}
	add("--file-test-mode", s.Mode)
	add("--file-io-mode", cmpOr(s.IOMode, "sync"))
	if s.FsyncFreq != nil {
		add("--file-fsync-freq", strconv.Itoa(*s.FsyncFreq))
	}
	if s.FsyncEnd != nil {
		add("--file-fsync-end", onOff(*s.FsyncEnd))
	}
	if s.FsyncAll != nil {
		add("--file-fsync-all", onOff(*s.FsyncAll))
	}
	if len(s.Flags) > 0 {
		add("--file-extra-flags", strings.Join(s.Flags, ","))
	}
	if s.RandType != "" && !d.isOld {
		add("--rand-type", s.RandType)
	}
	return words
}

// onOff is a flag's value. 0.4 and 0.5 take anything but "on" as off; 1.0
// refuses "yes" and "no".
func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

// sysbenchResult is what a run's output says.
type sysbenchResult struct {
	events    int64
	hasEvents bool
	seconds   float64
	// fatal is the first message that starts with FATAL.
	fatal string
}

var (
	eventsLine     = regexp.MustCompile(`(?m)^\s*total number of events:\s+(\d+)\s*$`)
	operationsLine = regexp.MustCompile(`(?m)^\s*Operations performed:\s+(\d+) Read, (\d+) Write, \d+ Other`)
	timeLine       = regexp.MustCompile(`(?m)^\s*total time:\s+([0-9.]+)s\s*$`)
	fatalLine      = regexp.MustCompile(`(?m)^\s*FATAL: (.*\S)`)
	writtenLine    = regexp.MustCompile(`(?m)^\s*(\d+) bytes written in `)
)

// parseSysbench reads the output of sysbench's fileio run, of 0.4 to 1.0.
func parseSysbench(out string) sysbenchResult {
	var r sysbenchResult
	if m := eventsLine.FindStringSubmatch(out); m != nil {
		n, err := strconv.ParseInt(m[1], 10, 64)
		r.events, r.hasEvents = n, err == nil
	} else if m := operationsLine.FindStringSubmatch(out); m != nil {
		reads, errR := strconv.ParseInt(m[1], 10, 32)
		writes, errW := strconv.ParseInt(m[2], 10, 32)
		r.events, r.hasEvents = reads+writes, errR == nil && errW == nil
	}
	if m := timeLine.FindStringSubmatch(out); m != nil {
		r.seconds, _ = strconv.ParseFloat(m[1], 64)
	}
	if m := fatalLine.FindStringSubmatch(out); m != nil {
		r.fatal = m[1]
	}
	return r
}

// checkSysbenchStatus prefers sysbench's own FATAL message, which it prints to
// stdout, over the bare status.
func checkSysbenchStatus(action string) func(Output) error {
	return func(out Output) error {
		if fatal := parseSysbench(out.Stdout + "\n" + out.Stderr).fatal; fatal != "" {
			return fmt.Errorf("sysbench %s failed (status %d): %s", action, out.Status, fatal)
		}
		return checkStatus("sysbench "+action, 0)(out)
	}
}

func (s *Sysbench) eventsInWords() string {
	if s.Events == 0 || s.Time > 0 {
		return "some events done"
	}
	return fmt.Sprintf("%d events done", s.Events)
}

// checkEvents compares the events done with those asked for.
func (s *Sysbench) checkEvents(d dialect) func(Output) error {
	return func(out Output) error {
		r := parseSysbench(out.Stdout)
		most := int64(s.Events)
		if d.isOld {
			most += int64(max(1, s.Threads))
		}
		switch {
		case !r.hasEvents:
			return fmt.Errorf("sysbench printed no number of events: its output is cut short or of an unknown version")
		case r.events == 0:
			return fmt.Errorf("sysbench did no events")
		case s.Time > 0 || s.Events == 0:
			return nil
		case r.events < int64(s.Events):
			return fmt.Errorf("sysbench did %d of %d events%s", r.events, s.Events, stopHint(r.seconds))
		case r.events > most:
			return fmt.Errorf("sysbench did %d events, more than the %d asked for", r.events, s.Events)
		}
		return nil
	}
}

// stopHint recognises the default time limit of sysbench 1.0, which ends a run
// with status 0.
func stopHint(seconds float64) string {
	if seconds >= 9.9 && seconds < 11 {
		return fmt.Sprintf(" in %.1fs: ten seconds is sysbench's own limit; pass --time=0", seconds)
	}
	return fmt.Sprintf(" in %.1fs", seconds)
}

// checkWritten compares the bytes that prepare says it wrote; 0.4 says nothing.
func checkWritten(total Size) func(Output) error {
	return func(out Output) error {
		// 1.0 leaves files alone that have their size already
		if strings.Contains(out.Stdout, "No bytes written") {
			return fmt.Errorf("sysbench prepare wrote nothing: the files are there already; clean up first")
		}
		m := writtenLine.FindStringSubmatch(out.Stdout)
		if m != nil && m[1] != strconv.FormatInt(int64(total), 10) {
			return fmt.Errorf("sysbench prepare wrote %s of %d bytes", m[1], int64(total))
		}
		return nil
	}
}

// Lines that frame the two measurements of the data on the file system.
const (
	usageBefore = "patchproof data before"
	usageAfter  = "patchproof data after"
)

// cacheSlack is what the free space cache of kernels without a free space tree
// may add to the data meanwhile: 64 KiB for each of a few block groups. It never
// takes more than half of what tells compressed from uncompressed data.
const cacheSlack = 256 << 10

// compressed puts a measurement before and after prepare and compares.
func (c *compiler) compressed(step Step, s *Sysbench, dir, at string) (Step, *PositionError) {
	switch where := c.mountOf(dir); {
	case where.fs != "btrfs":
		return Step{}, c.errorf(at+".expect_compressed", "expect_compressed is known for btrfs only: mount btrfs so that it holds %s first", dir)
	case !hasCompression(where.options):
		return Step{}, c.errorf(at+".expect_compressed", "expect_compressed, but the mount before it has no compress option")
	}
	measure := quoteWords([]string{"btrfs", "filesystem", "df", "-b", dir})
	step.Command = lines("sync", "echo "+quote(usageBefore), measure, step.Command, "sync", "echo "+quote(usageAfter), measure)
	ratio := int64(float64(s.TotalSize) * s.ExpectCompressed)
	slack := min(cacheSlack, (int64(s.TotalSize)-ratio)/2)
	most := ratio + slack
	step.Checks = append(step.Checks, fmt.Sprintf("data on the file system grew by at most %d bytes (%v of %v, and %d for the free space cache)",
		most, s.ExpectCompressed, s.TotalSize, slack))
	step.Check = both(step.Check, func(out Output) error {
		grown, err := dataGrowth(out.Stdout)
		switch {
		case err != nil:
			return err
		case grown > most:
			return fmt.Errorf("the data is not compressed: %v takes %d bytes on disk, expected at most %d; the race needs compressed extents", s.TotalSize, grown, most)
		case grown <= 0:
			return fmt.Errorf("the files of prepare are not on the file system: its data grew by %d bytes", grown)
		}
		return nil
	})
	return step, nil
}

func hasCompression(options []string) bool {
	for _, o := range options {
		key, value, _ := strings.Cut(o, "=")
		if (key == "compress" || key == "compress-force") && value != "no" && value != "none" {
			return true
		}
	}
	return false
}

// isBelow reports whether dir is target or inside it.
func isBelow(dir, target string) bool {
	return dir == target || target == "/" || strings.HasPrefix(dir, path.Clean(target)+"/")
}

// dataLine is a line of "btrfs filesystem df -b", one for each profile. Data
// alone is counted: metadata (twice on disk with DUP) and reserves do not say
// whether extents are compressed.
var dataLine = regexp.MustCompile(`(?m)^Data[^:\n]*: total=\d+, used=(\d+)\s*$`)

// dataGrowth reads the two measurements of a step's output.
func dataGrowth(stdout string) (int64, error) {
	_, rest, okBefore := strings.Cut(stdout, usageBefore+"\n")
	before, after, okAfter := strings.Cut(rest, usageAfter+"\n")
	used := [2]int64{}
	for i, text := range []string{before, after} {
		found := dataLine.FindAllStringSubmatch(text, -1)
		if !okBefore || !okAfter || len(found) == 0 {
			return 0, fmt.Errorf("cannot tell whether the data is compressed: btrfs filesystem df printed no data line")
		}
		for _, m := range found {
			n, err := strconv.ParseInt(m[1], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("cannot tell whether the data is compressed: %w", err)
			}
			used[i] += n
		}
	}
	return used[1] - used[0], nil
}
