//go:build vm

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// verdictJSON is what scripts rely on in verify --json.
type verdictJSON struct {
	Verdict        string   `json:"verdict"`
	Confidence     float64  `json:"confidence"`
	ElapsedSeconds float64  `json:"elapsed_seconds"`
	Pre            sideJSON `json:"pre"`
	Post           sideJSON `json:"post"`
	Reason         string   `json:"reason"`
	Reports        []struct {
		Title     string `json:"title"`
		Function  string `json:"function"`
		File      string `json:"file"`
		Condition string `json:"condition"`
	} `json:"reports"`
}

type sideJSON struct {
	Runs       int `json:"runs"`
	Reproduced int `json:"reproduced"`
	Clean      int `json:"clean"`
	Invalid    int `json:"invalid"`
}

// patchproof runs the command in this process, with the user's cache: kernels
// are built once for all tests and for the demo.
func patchproof(t testing.TB, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	return patchproofIn(t, filepath.Join(t.TempDir(), "results"), args...)
}

// patchproofIn is patchproof with a results folder that several calls share.
func patchproofIn(t testing.TB, resultsDir string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	args = append(args, "--results-dir", resultsDir)
	status = report(run(ctx, args, strings.NewReader(""), &out, &errs), &errs)
	t.Logf("patchproof %s: exit status %d\n%s%s", strings.Join(args, " "), status, errs.String(), out.String())
	return status, out.String(), errs.String()
}

func verifyJSON(t *testing.T, args ...string) (int, verdictJSON) {
	t.Helper()
	status, stdout, _ := patchproof(t, append([]string{"verify", "--json"}, args...)...)
	var v verdictJSON
	if err := json.Unmarshal([]byte(stdout), &v); err != nil {
		t.Fatalf("verify --json printed no JSON document: %v", err)
	}
	return status, v
}

// plan writes a plan for two kernels built from linux-source-6.1 with the
// given shipped patches.
func plan(t *testing.T, pre, post string, extra ...string) string {
	t.Helper()
	series := func(names string) string {
		var list []string
		for _, n := range strings.Fields(names) {
			list = append(list, "shipped:patches/btrfs-dio-race/"+n+".patch")
		}
		return "[" + strings.Join(list, ", ") + "]"
	}
	text := "name: test\n" +
		"kernel:\n  tarball: /usr/src/linux-source-6.1.tar.xz\n" +
		"  fragments: [shipped:kernel/guest.config, shipped:kernel/btrfs.config]\n" +
		"pre: {patches: " + series(pre) + "}\n" +
		"post: {patches: " + series(post) + "}\n" +
		"workload: btrfs-dio-race-focused\n" + strings.Join(extra, "\n") + "\n"
	file := filepath.Join(t.TempDir(), "plan.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestVMVerdictFixed is the main job: the pair that the demo uses.
func TestVMVerdictFixed(t *testing.T) {
	status, v := verifyJSON(t, "../../configs/plans/btrfs-dio-race-6.1.yaml")
	if status != 0 || v.Verdict != "fixed" || v.Confidence < 0.99 {
		t.Fatalf("status %d, verdict %s, confidence %v, want 0, fixed, at least 0.99", status, v.Verdict, v.Confidence)
	}
	if v.Pre.Reproduced == 0 || v.Post.Reproduced != 0 || v.Post.Clean == 0 {
		t.Errorf("pre %+v, post %+v", v.Pre, v.Post)
	}
	conditions := map[string]bool{}
	for _, r := range v.Reports {
		if r.Function == "btrfs_destroy_inode" {
			if r.File != "fs/btrfs/inode.c" {
				t.Errorf("report %q is from %s", r.Title, r.File)
			}
			conditions[r.Condition] = true
		}
	}
	if len(conditions) == 0 || conditions[""] {
		t.Errorf("conditions of the btrfs_destroy_inode warnings: %v", conditions)
	}
}

func TestVMVerdictRegressed(t *testing.T) {
	status, v := verifyJSON(t, plan(t, "0001-base 0002-fix", "0001-base"))
	if status != 1 || v.Verdict != "regressed" || v.Confidence < 0.99 {
		t.Errorf("swapped pair: status %d, verdict %s, confidence %v, want 1, regressed", status, v.Verdict, v.Confidence)
	}
}

func TestVMVerdictNotFixed(t *testing.T) {
	status, v := verifyJSON(t, plan(t, "0001-base", "0001-base harmless"))
	if status != 1 || v.Verdict != "not-fixed" {
		t.Errorf("base against base with a harmless patch: status %d, verdict %s, want 1, not-fixed", status, v.Verdict)
	}
}

func TestVMVerdictNotReproduced(t *testing.T) {
	status, v := verifyJSON(t, plan(t, "", "harmless", "max_runs: 3"))
	if status != 3 || v.Verdict != "not-reproduced" {
		t.Errorf("stock against stock with a harmless patch: status %d, verdict %s, want 3, not-reproduced", status, v.Verdict)
	}
	if v.Pre.Clean != 3 || v.Post.Clean != 3 {
		t.Errorf("pre %+v, post %+v, want 3 clean runs each", v.Pre, v.Post)
	}
}

// builtKernel returns the path of an image with the given shipped patches.
func builtKernel(t testing.TB, patches ...string) string {
	t.Helper()
	args := []string{"kernel", "build", "--tarball", "/usr/src/linux-source-6.1.tar.xz"}
	for _, p := range patches {
		args = append(args, "--patch", "../../configs/patches/btrfs-dio-race/"+p+".patch")
	}
	status, stdout, _ := patchproof(t, args...)
	if status != 0 {
		t.Fatalf("building a kernel: exit status %d", status)
	}
	return strings.TrimSpace(stdout)
}

// TestVMSameImage: an image against itself, and a patch that changes nothing
// that is built, are refused before the first run.
func TestVMSameImage(t *testing.T) {
	stock := builtKernel(t)
	status, _, stderr := patchproof(t, "verify", "--pre-kernel", stock, "--post-kernel", stock, "-w", "btrfs-dio-race-focused")
	if status != 2 || !strings.Contains(stderr, "same") {
		t.Errorf("an image against itself: status %d, stderr %q", status, stderr)
	}
	unbuilt := filepath.Join(t.TempDir(), "unbuilt.patch")
	text := "--- a/Documentation/admin-guide/unbuilt.txt\n+++ b/Documentation/admin-guide/unbuilt.txt\n@@ -0,0 +1 @@\n+nothing\n"
	text = strings.Replace(text, "--- a/Documentation/admin-guide/unbuilt.txt", "--- /dev/null", 1)
	if err := os.WriteFile(unbuilt, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	status, _, stderr = patchproof(t, "verify", "--tarball", "/usr/src/linux-source-6.1.tar.xz", "--patch", unbuilt, "-w", "btrfs-dio-race-focused")
	if status != 2 || !strings.Contains(stderr, "unbuilt") {
		t.Errorf("a patch to a file that is not built: status %d, stderr %q", status, stderr)
	}
}

// TestVMReadyImages: images from elsewhere, without config, vmlinux or source.
func TestVMReadyImages(t *testing.T) {
	dir := t.TempDir()
	for name, patches := range map[string][]string{"a": {"0001-base"}, "b": {"0001-base", "0002-fix"}} {
		data, err := os.ReadFile(builtKernel(t, patches...))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	status, v := verifyJSON(t, "--pre-kernel", filepath.Join(dir, "a"), "--post-kernel", filepath.Join(dir, "b"),
		"--workload", "btrfs-dio-race-focused", "--confidence", "0.9")
	if status != 0 || v.Verdict != "fixed" {
		t.Errorf("ready images: status %d, verdict %s", status, v.Verdict)
	}
}
