package workloads

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestSimplePhases(t *testing.T) {
	w, err := LoadWorkload("w.yaml", []byte(`
name: simple
phases:
  - sleep: 1500ms
  - drop-caches:
  - drop-caches: {mode: 1}
  - sync: {}
  - name: look
    timeout: 90s
    shell: {run: 'test "$(cat /proc/version)" = "" || echo $HOME', expect_status: 3}
`))
	if err != nil {
		t.Fatal(err)
	}
	steps, err := Compile(w, Tools{})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []Step{
		{Name: "sleep", Command: "sleep 1.5", Timeout: defaultTimeout + 1500*time.Millisecond},
		{Name: "drop-caches", Command: "sync &&\necho 3 > /proc/sys/vm/drop_caches", Timeout: defaultTimeout},
		{Name: "drop-caches", Command: "sync &&\necho 1 > /proc/sys/vm/drop_caches", Timeout: defaultTimeout},
		{Name: "sync", Command: "sync", Timeout: defaultTimeout},
		{Name: "look", Command: `test "$(cat /proc/version)" = "" || echo $HOME`, Timeout: 90 * time.Second},
	} {
		got := steps[i]
		if got.Phase != i || got.Name != want.Name || got.Command != want.Command || got.Timeout != want.Timeout {
			t.Errorf("step %d: %+v, want %+v", i, got, want)
		}
	}
	checkError(t, steps[4].Check(Output{Status: 3}), "")
	checkError(t, steps[4].Check(Output{Status: 0}), "command ended with status 0, expected 3")
	checkError(t, steps[3].Check(Output{Status: 1, Stderr: "Killed\n\n"}), "sync failed (status 1): Killed")
}

func TestCompileRefusesAnInvalidWorkload(t *testing.T) {
	for _, w := range []*Workload{
		{},
		{Name: "x"},
		{Name: "x", Phases: []Phase{{}}},
		{Name: "x", Phases: []Phase{{Sync: &Sync{}, Umount: &Umount{}}}},
		{Name: "x", Phases: []Phase{{Mkfs: &Mkfs{}}}},
	} {
		if steps, err := Compile(w, Tools{}); err == nil {
			t.Errorf("%+v compiles to %+v", w, steps)
		}
	}
}

func TestLastWordsAreSafeToShow(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "\n \n": "", "one\ntwo\n": ": two", "a\rb": ": b",
		"\x1b]0;title\x07done": ": ]0;titledone", "\xff\xfe": ": ?", "\u009b31mred": ": 31mred",
		strings.Repeat("x", 300): ": " + strings.Repeat("x", 200) + "...",
	} {
		if got := lastWords(Output{Stderr: text, Stdout: ""}); got != want {
			t.Errorf("lastWords(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestQuoteWithARealShell(t *testing.T) {
	words := []string{"", "plain", "a b", "it's", `"$HOME"`, "`id`", "a\nb", "~", "*", "^no-holes", "-O", "a;b", "#", "é", `\`, "a=b", "!x", "${x}", "{a,b}"}
	out, err := exec.Command("sh", "-c", "printf '%s\\0' "+quoteWords(words)).Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"); strings.Join(got, "\x00") != strings.Join(words, "\x00") {
		t.Errorf("the shell read %q, want %q", got, words)
	}
	if got := quoteWords([]string{"mkfs.btrfs", "-O", "^no-holes", "/dev/vda"}); strings.Contains(got, "'") {
		t.Errorf("needless quotes: %s", got)
	}
}

func TestDescribe(t *testing.T) {
	w := &Workload{Name: "x", Phases: []Phase{
		{Name: "fill the cache", Shell: &Shell{Run: "cat /dev/vda > /dev/null\necho done"}, Timeout: Duration(time.Hour)},
		{Umount: &Umount{}},
	}}
	steps, err := Compile(w, Tools{})
	if err != nil {
		t.Fatal(err)
	}
	const want = `1. fill the cache (limit 1h, scaled by the machine's slowdown)
     cat /dev/vda > /dev/null
     echo done
   check: exit status 0
2. umount (limit 2m, scaled by the machine's slowdown)
     umount /mnt &&
     cat /proc/mounts
   check: exit status 0; /mnt is no longer in /proc/mounts
`
	if got := Describe(steps); got != want {
		t.Errorf("%s", firstDifference(want, got))
	}
	data, err := json.Marshal(steps[1])
	if err != nil {
		t.Fatal(err)
	}
	const wantJSON = `{"phase":1,"name":"umount","command":"umount /mnt \u0026\u0026\ncat /proc/mounts","timeout_seconds":120,"checks":["exit status 0","/mnt is no longer in /proc/mounts"]}`
	if string(data) != wantJSON {
		t.Errorf("JSON %s", data)
	}
}

func TestHostTools(t *testing.T) {
	w := &Workload{Phases: []Phase{
		{Mkfs: &Mkfs{FS: "btrfs"}}, {Mount: &Mount{FS: "btrfs"}},
		{Sysbench: &Sysbench{Action: "prepare", ExpectCompressed: 0.5}}, {Sysbench: &Sysbench{Action: "run"}},
	}}
	if got := strings.Join(w.HostTools(), " "); got != "mkfs.btrfs sysbench btrfs" {
		t.Errorf("tools %q", got)
	}
}
