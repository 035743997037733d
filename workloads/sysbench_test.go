package workloads

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestSysbenchDialect(t *testing.T) {
	for text, want := range map[string]dialect{
		"0.4.12": dialectOld, "sysbench 0.4.12:  multi-threaded system evaluation benchmark": dialectOld,
		"sysbench 0.5": dialectOld, "1.0.20": dialectNew, "sysbench 1.1.0-df89d34 (using bundled LuaJIT 2.1.0-beta3)": dialectNew,
	} {
		if got, err := sysbenchDialect(text); err != nil || got != want {
			t.Errorf("sysbenchDialect(%q) = %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "not found", "0.3.1"} {
		if d, err := sysbenchDialect(text); err == nil {
			t.Errorf("sysbenchDialect(%q) = %+v, want an error", text, d)
		}
	}
}

// reportRun is the run phase of the founding report.
func reportRun() *Sysbench {
	never, off := 0, false
	return &Sysbench{
		Action: "run", Threads: 8, TotalSize: 8 * GiB, BlockSize: 32 * KiB, Mode: "rndwr", Flags: []string{"direct"},
		FsyncFreq: &never, FsyncEnd: &off, Events: 300000,
	}
}

func TestSysbenchCommand(t *testing.T) {
	prepare, cleanup := reportRun(), reportRun()
	prepare.Action, cleanup.Action = "prepare", "cleanup"
	timed, on := reportRun(), true
	timed.Events, timed.Time, timed.FsyncEnd, timed.FsyncAll, timed.RandType, timed.IOMode = 0, Duration(time.Minute), &on, &on, "uniform", "async"
	for _, c := range []struct {
		name, version string
		s             *Sysbench
		want          string
	}{
		{"run, 1.0", "1.0.20", reportRun(), "sysbench fileio --threads=8 --events=300000 --time=0 --file-num=128 --file-total-size=8589934592 --file-block-size=32768 --file-test-mode=rndwr --file-io-mode=sync --file-fsync-freq=0 --file-fsync-end=off --file-extra-flags=direct run"},
		{"run, 0.5", "0.5", reportRun(), "sysbench --test=fileio --num-threads=8 --max-requests=300000 --max-time=0 --file-num=128 --file-total-size=8589934592 --file-block-size=32768 --file-test-mode=rndwr --file-io-mode=sync --file-fsync-freq=0 --file-fsync-end=off --file-extra-flags=direct run"},
		{"run, 0.4", "0.4.12", reportRun(), "sysbench --test=fileio --num-threads=8 --max-requests=300000 --max-time=0 --file-num=128 --file-total-size=8589934592 --file-block-size=32768 --file-test-mode=rndwr --file-io-mode=sync --file-fsync-freq=0 --file-fsync-end=off --file-extra-flags=direct run"},
		{"prepare leaves the direct flag out", "1.0.20", prepare, "sysbench fileio --file-num=128 --file-total-size=8589934592 --file-block-size=32768 prepare"},
		{"cleanup", "0.4.12", cleanup, "sysbench --test=fileio --file-num=128 cleanup"},
		{"timed, with every option", "1.0.20", timed, "sysbench fileio --threads=8 --events=0 --time=60 --file-num=128 --file-total-size=8589934592 --file-block-size=32768 --file-test-mode=rndwr --file-io-mode=async --file-fsync-freq=0 --file-fsync-end=on --file-fsync-all=on --file-extra-flags=direct --rand-type=uniform run"},
		{"old versions are uniform anyway", "0.4.12", timed, "sysbench --test=fileio --num-threads=8 --max-requests=0 --max-time=60 --file-num=128 --file-total-size=8589934592 --file-block-size=32768 --file-test-mode=rndwr --file-io-mode=async --file-fsync-freq=0 --file-fsync-end=on --file-fsync-all=on --file-extra-flags=direct run"},
	} {
		steps, err := Compile(&Workload{Name: "x", Phases: []Phase{{Sysbench: c.s}}}, Tools{SysbenchVersion: c.version})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if want := "cd /mnt &&\n" + c.want; steps[0].Command != want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, steps[0].Command, want)
		}
	}
}

func TestSysbenchNotInTheImage(t *testing.T) {
	_, err := Compile(&Workload{Name: "x", Phases: []Phase{{Sysbench: reportRun()}}}, Tools{})
	checkError(t, err, `the version of the guest image's sysbench is not known (got ""); install sysbench on this machine`)
}

// readOutput reads an output file; the 1.0.20 ones were made by that version,
// the 0.4.12 one follows the format in its source.
func readOutput(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestParseSysbench(t *testing.T) {
	for name, want := range map[string]sysbenchResult{
		"sysbench-1.0.20-run.txt":         {events: 200, hasEvents: true},
		"sysbench-1.0.20-ten-seconds.txt": {events: 4945, hasEvents: true, seconds: 10.0007},
		"sysbench-1.0.20-fatal.txt":       {fatal: "Cannot open file 'test_file.8' errno = 2 (No such file or directory)"},
		"sysbench-0.4.12-run.txt":         {events: 300005, hasEvents: true, seconds: 162.0842},
	} {
		got := parseSysbench(readOutput(t, name))
		if want.seconds == 0 {
			got.seconds = 0
		}
		if got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	short := parseSysbench("Operations performed:  6013 Read, 3994 Write, 11540 Other = 21547 Total\n")
	if !short.hasEvents || short.events != 10007 {
		t.Errorf("without the summary: %+v", short)
	}
}

func TestSysbenchChecks(t *testing.T) {
	run := func(version string, events, threads int) Step {
		s := reportRun()
		s.Events, s.Threads = events, threads
		steps, err := Compile(&Workload{Name: "x", Phases: []Phase{{Sysbench: s}}}, Tools{SysbenchVersion: version})
		if err != nil {
			t.Fatal(err)
		}
		return steps[0]
	}
	old, ten := readOutput(t, "sysbench-0.4.12-run.txt"), readOutput(t, "sysbench-1.0.20-ten-seconds.txt")
	for _, c := range []struct {
		name string
		step Step
		out  Output
		want string
	}{
		{"as asked", run("1.0.20", 4945, 8), Output{Stdout: ten}, ""},
		{"ten seconds", run("1.0.20", 300000, 8), Output{Stdout: ten}, "sysbench did 4945 of 300000 events in 10.0s: ten seconds is sysbench's own limit; pass --time=0"},
		{"too few", run("0.4.12", 400000, 8), Output{Stdout: old}, "sysbench did 300005 of 400000 events in 162.1s"},
		{"old versions overshoot", run("0.4.12", 300000, 8), Output{Stdout: old}, ""},
		{"by no more than the threads", run("0.4.12", 300000, 4), Output{Stdout: old}, "sysbench did 300005 events, more than the 300000 asked for"},
		{"new ones do not", run("1.0.20", 4944, 8), Output{Stdout: ten}, "sysbench did 4945 events, more than the 4944 asked for"},
		{"no output", run("1.0.20", 10, 8), Output{}, "sysbench printed no number of events: its output is cut short or of an unknown version"},
		{"fatal", run("1.0.20", 10, 8), Output{Status: 1, Stdout: readOutput(t, "sysbench-1.0.20-fatal.txt")}, "sysbench run failed (status 1): Cannot open file 'test_file.8' errno = 2 (No such file or directory)"},
		{"refused option", run("1.0.20", 10, 8), Output{Status: 1, Stderr: "invalid option: --file-fsync-end=no\n"}, "sysbench run failed (status 1): invalid option: --file-fsync-end=no"},
		{"not there", run("1.0.20", 10, 8), Output{Status: 127, Stderr: "sh: sysbench: not found\n"}, "sysbench run failed (status 127): sh: sysbench: not found"},
	} {
		t.Run(c.name, func(t *testing.T) { checkError(t, c.step.Check(c.out), c.want) })
	}
}

// df is what "btrfs filesystem df -b" of 6.2 prints.
func df(used string) string {
	return "Data, single: total=8388608, used=" + used + "\nSystem, DUP: total=8388608, used=16384\n" +
		"Metadata, DUP: total=33554432, used=131072\nGlobalReserve, single: total=5767168, used=0\n"
}

func TestCompressionCheck(t *testing.T) {
	w := &Workload{Name: "x", Phases: []Phase{
		{Mount: &Mount{FS: "btrfs", Options: []string{"compress=zlib"}}},
		{Sysbench: &Sysbench{Action: "prepare", Files: 8, TotalSize: 1 * MiB, BlockSize: 32 * KiB, ExpectCompressed: 0.5, Flags: []string{"direct"}}},
	}}
	steps, err := Compile(w, Tools{SysbenchVersion: "1.0.20"})
	if err != nil {
		t.Fatal(err)
	}
	s := steps[1]
	written := readOutput(t, "sysbench-1.0.20-prepare.txt")
	output := func(before, after string) Output {
		return Output{Stdout: usageBefore + "\n" + before + written + usageAfter + "\n" + after}
	}
	for _, c := range []struct {
		name string
		out  Output
		want string
	}{
		{"compressed", output(df("0"), df("32768")), ""},
		{"space cache there before", output(df("262144"), df("458752")), ""},
		{"not compressed", output(df("0"), df("1048576")), "the data is not compressed: 1MiB takes 1048576 bytes on disk, expected at most 786432; the race needs compressed extents"},
		{"two data profiles", output("Data, RAID1: total=1, used=1000\n"+df("0"), "Data, RAID1: total=1, used=1000\n"+df("32768")), ""},
		{"nothing written", output(df("32768"), df("32768")), "the files of prepare are not on the file system: its data grew by 0 bytes"},
		{"no measurement", Output{Stdout: written}, "cannot tell whether the data is compressed: btrfs filesystem df printed no data line"},
		{"half a measurement", output(df("0"), ""), "cannot tell whether the data is compressed: btrfs filesystem df printed no data line"},
		{"just too much", output(df("0"), df("786433")), "the data is not compressed: 1MiB takes 786433 bytes on disk, expected at most 786432; the race needs compressed extents"},
		{"there already", Output{Stdout: "No bytes written.\n"}, "sysbench prepare wrote nothing: the files are there already; clean up first"},
		{"written in part", Output{Stdout: strings.Replace(written, "1048576 bytes", "524288 bytes", 1)}, "sysbench prepare wrote 524288 of 1048576 bytes"},
		{"failed", Output{Status: 1, Stderr: "ERROR: not a btrfs filesystem: /mnt\n"}, "sysbench prepare failed (status 1): ERROR: not a btrfs filesystem: /mnt"},
	} {
		t.Run(c.name, func(t *testing.T) { checkError(t, s.Check(c.out), c.want) })
	}
}

func TestCompressionNeedsACompressingMount(t *testing.T) {
	prepare := Phase{Sysbench: &Sysbench{Action: "prepare", Files: 8, TotalSize: 1 * MiB, ExpectCompressed: 0.5}}
	elsewhere := prepare
	elsewhere.Sysbench = &Sysbench{Action: "prepare", Files: 8, TotalSize: 1 * MiB, ExpectCompressed: 0.5, Dir: "/data/files"}
	mnt := Phase{Mount: &Mount{FS: "btrfs", Options: []string{"compress=zlib"}}}
	for _, c := range []struct {
		name   string
		phases []Phase
		want   string
	}{
		{"mounted", []Phase{mnt, prepare}, ""},
		{"not mounted", []Phase{prepare}, "expect_compressed is known for btrfs only: mount btrfs so that it holds /mnt first"},
		{"unmounted again", []Phase{mnt, {Umount: &Umount{}}, prepare}, "expect_compressed is known for btrfs only: mount btrfs so that it holds /mnt first"},
		{"in another folder", []Phase{mnt, elsewhere}, "expect_compressed is known for btrfs only: mount btrfs so that it holds /data/files first"},
		{"two mounts", []Phase{{Mount: &Mount{FS: "btrfs", Target: "/data", Options: []string{"compress"}}}, mnt, elsewhere}, ""},
		{"without compression", []Phase{{Mount: &Mount{FS: "btrfs", Options: []string{"compress=no"}}}, prepare}, "expect_compressed, but the mount before it has no compress option"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Compile(&Workload{Name: "x", Phases: c.phases}, Tools{SysbenchVersion: "1.0.20"})
			checkError(t, err, c.want)
		})
	}
}
