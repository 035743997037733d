package workloads

import (
	"fmt"
	"strings"
	"testing"
)

const (
	fillPhases = "[mkfs: {fs: btrfs}], [mount: {fs: btrfs}], [name: fill, sysbench: {action: prepare, total_size: 2MiB}], [umount: ]"
	runPhases  = "[mount: {fs: btrfs}], [sysbench: {action: run, mode: rndwr, total_size: 2MiB, events: 1}], [umount: ]"
)

// snapshotWorkload writes a workload with phases given as "[...], [...]".
func snapshotWorkload(snapshot, phases string) string {
	out := "name: w\n"
	if snapshot != "" {
		out += "snapshot: " + snapshot + "\n"
	}
	phases = strings.NewReplacer("[", "{", "]", "}").Replace(phases)
	return out + "phases: [" + phases + "]\n"
}

func TestSnapshotPhases(t *testing.T) {
	for _, test := range []struct {
		name, snapshot, phases string
		want                   int
	}{
		{"filled and unmounted", "", fillPhases + ", " + runPhases, 4},
		{"never unmounted", "", "[mkfs: {fs: btrfs}], [mount: {fs: btrfs}], [sysbench: {action: prepare, total_size: 2MiB}], [shell: {run: x}]", 1},
		{"a second mount stays", "", "[mkfs: {fs: btrfs}], [mount: {fs: btrfs}], [mount: {fs: btrfs, target: /b}], [umount: ], [sync: ]", 1},
		{"commands differ from run to run", "", "[shell: {run: x}], [mkfs: {fs: btrfs}]", 0},
		{"a pause is part of the run", "", "[sync: ], [sleep: 1s], [sync: ]", 1},
		{"nothing but filling", "", fillPhases, 4},
		{"as told", "after fill", fillPhases + ", " + runPhases, 3},
		{"after a command", "after shell", "[shell: {run: x}], [mkfs: {fs: btrfs}]", 1},
		{"after boot", "after boot", fillPhases, 0},
		{"never", "none", fillPhases, -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, err := LoadWorkload("w.yaml", []byte(snapshotWorkload(test.snapshot, test.phases)))
			if err != nil {
				t.Fatal(err)
			}
			if got := w.SnapshotPhases(); got != test.want {
				t.Errorf("%d phases, want %d", got, test.want)
			}
		})
	}
}

func TestSnapshotRefused(t *testing.T) {
	for _, test := range []struct{ snapshot, phases, want string }{
		{"after fil", fillPhases, `w.yaml:2:11: no phase is called "fil"; did you mean "fill"?`},
		{"before fill", fillPhases, `w.yaml:2:11: expected "after PHASE"`},
		{"after mount", "[mount: {fs: btrfs}], [mount: {fs: btrfs, target: /b}]", `w.yaml:2:11: two phases are called "mount"`},
	} {
		_, err := LoadWorkload("w.yaml", []byte(snapshotWorkload(test.snapshot, test.phases)))
		if err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", test.snapshot, fmt.Sprint(err), test.want)
		}
	}
}
