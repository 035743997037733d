package workloads

import (
	"strings"
	"testing"
)

const smallWorkload = `name: small
guest:
  vcpus: ${cpus}
  memory: 512MiB
variables:
  cpus: 2
  events: 100
  size: 2MiB
  greeting: it's $${literal}
phases:
  - mount: {fs: btrfs, options: ["compress=${how}"]}
  - shell: {run: "echo '$${HOME}' ${greeting} $5"}
  - sysbench:
      action: run
      mode: rndwr
      files: 4
      total_size: ${size}
      events: ${events}
`

func loadSmall(t *testing.T) *Workload {
	t.Helper()
	w, err := LoadWorkloadWith("small.yaml", []byte(strings.Replace(smallWorkload, "  cpus: 2\n", "  cpus: 2\n  how: zlib\n", 1)), nil)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestVariables(t *testing.T) {
	w := loadSmall(t)
	if w.Defaults.VCPUs != 2 || w.Phases[2].Sysbench.Events != 100 || w.Phases[2].Sysbench.TotalSize != 2*MiB {
		t.Errorf("defaults are not filled in: %+v", w)
	}
	// values are taken as they are, and not searched for variables again
	if got, want := w.Phases[1].Shell.Run, "echo '${HOME}' it's $${literal} $5"; got != want {
		t.Errorf("run is %q, want %q", got, want)
	}
	over, err := w.WithVariables(map[string]string{"events": "7", "size": "1GiB", "how": "lzo"})
	if err != nil {
		t.Fatal(err)
	}
	if over.Phases[2].Sysbench.Events != 7 || over.Phases[2].Sysbench.TotalSize != GiB || over.Phases[0].Mount.Options[0] != "compress=lzo" {
		t.Errorf("overridden values are not filled in: %+v", over)
	}
	if over.Variables["events"] != "7" || w.Variables["events"] != "100" || w.Phases[2].Sysbench.Events != 100 {
		t.Error("overriding changes the original, or does not show in the copy")
	}
}

func TestVariableErrors(t *testing.T) {
	w := loadSmall(t)
	for _, c := range []struct {
		vars map[string]string
		want string
	}{
		{map[string]string{"events": "many"}, `small.yaml:19:15: phases[2].sysbench.events: expected a whole number, got "many" (from ${events})`},
		{map[string]string{"events": "-1"}, `small.yaml:19:15: expected 1 to 2147483647 events, got -1`},
		{map[string]string{"size": "1MB"}, `small.yaml:18:19: phases[2].sysbench.total_size: unknown unit in size "1MB"; expected KiB, MiB, GiB or TiB`},
		{map[string]string{"evnts": "1"}, `small.yaml: no variable "evnts"; did you mean "events"?`},
		{map[string]string{"how": "zlib,ro"}, `small.yaml:12:34: expected one mount option without commas or spaces, got "compress=zlib,ro"`},
		{map[string]string{"greeting": "\x1b[2J"}, `small.yaml:13:18: phases[1].shell.run: control characters are not allowed, got "echo '${HOME}' \x1b[2J $5"`},
	} {
		_, err := w.WithVariables(c.vars)
		checkError(t, err, c.want)
	}
	_, err := (&Workload{Name: "made-in-go"}).WithVariables(nil)
	checkError(t, err, "workload made-in-go was not loaded from YAML: its variables are already filled in")
}

func TestVariableWithoutDefault(t *testing.T) {
	const text = "name: x\nvariables: {device: }\nphases:\n  - mkfs: {fs: btrfs, device: '${device}'}\n"
	_, err := LoadWorkload("x.yaml", []byte(text))
	checkError(t, err, `x.yaml:4:31: variable "device" has no value; give it one with --var device=VALUE`)
	w, err := LoadWorkloadWith("x.yaml", []byte(text), map[string]string{"device": "/dev/vdb"})
	if err != nil || w.Phases[0].Mkfs.Device != "/dev/vdb" {
		t.Errorf("%+v, %v", w, err)
	}
}

func TestAliases(t *testing.T) {
	w, err := LoadWorkload("x.yaml", []byte("name: x\nphases:\n  - mount: &m {fs: btrfs}\n  - umount:\n  - mount: *m\n"))
	if err != nil || w.Phases[2].Mount.FS != "btrfs" {
		t.Errorf("%+v, %v", w, err)
	}
}

// A document that doubles its size at every alias must be refused in little
// time and memory.
func TestAliasBomb(t *testing.T) {
	var b strings.Builder
	b.WriteString("name: x\nguest: {append: &a0 [w, w]}\n")
	b.WriteString("requires: [a, a]\nphases:\n")
	const wide = 2000
	b.WriteString("  - mount: {fs: btrfs, options: &o [" + strings.Repeat("a,", wide) + "a]}\n")
	for range wide {
		b.WriteString("  - mount: {fs: btrfs, options: *o}\n")
	}
	_, err := LoadWorkload("bomb.yaml", []byte(b.String()))
	if err == nil || !strings.Contains(err.Error(), "expands to more than") {
		t.Errorf("got %v", err)
	}
	_, err = LoadWorkload("big.yaml", make([]byte, maxDocumentBytes+1))
	if err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("got %v", err)
	}
}

func TestGuestOver(t *testing.T) {
	defaults := Guest{VCPUs: 2, Memory: GiB, Disk: 4 * GiB, Accel: "auto", Append: []string{"a"}}
	got := Guest{VCPUs: 8, Append: []string{"b"}}.Over(defaults)
	if got.VCPUs != 8 || got.MemoryMiB() != 1024 || got.DiskMiB() != 4096 || got.Accel != "auto" || strings.Join(got.Append, " ") != "a b" {
		t.Errorf("%+v", got)
	}
	if len(defaults.Append) != 1 {
		t.Error("Over changed its argument")
	}
}

func TestLimits(t *testing.T) {
	sleep := Duration(3600e9)
	for _, c := range []struct {
		p    Phase
		want string
	}{
		{Phase{Sync: &Sync{}}, "2m"},
		{Phase{Sync: &Sync{}, Timeout: Duration(5e9)}, "5s"},
		{Phase{Sysbench: &Sysbench{Action: "run", Time: Duration(60e9)}}, "16m"},
		{Phase{Sleep: &sleep}, "1h2m"},
	} {
		if got := Duration(c.p.Limit()).String(); got != c.want {
			t.Errorf("limit of %v is %s, want %s", c.p.actions(), got, c.want)
		}
	}
}
