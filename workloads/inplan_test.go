package workloads

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The plan.yaml of a campaign serves as the workload that the campaign ran.
func TestOpenWorkloadOfPlan(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"plan.yaml": `name: kept
pre: {image: /a}
post: {image: /b}
workload:
  name: inner
  variables: {n: "3"}
  phases:
    - name: only
      shell: {run: "echo ${n}"}
guest: {vcpus: 4}
`,
		"workload.yaml": "name: plain\nphases:\n  - shell: {run: \"true\"}\n",
		"named.yaml":    "name: plan\nworkload: something-shipped\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"plan.yaml": "inner", "workload.yaml": "plain"} {
		w, err := ParseWorkloadRef(filepath.Join(dir, name)).Open(os.DirFS(dir), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if w.Name != want || len(w.Phases) != 1 {
			t.Errorf("%s: workload %q with %d phases, want %q", name, w.Name, len(w.Phases), want)
		}
	}
	w, err := ParseWorkloadRef(filepath.Join(dir, "plan.yaml")).Open(os.DirFS(dir), map[string]string{"n": "7"})
	if err != nil || !strings.Contains(w.Phases[0].Shell.Run, "echo 7") {
		t.Errorf("a variable of the workload was not set: %v, %+v", err, w)
	}
	// A plan that only names its workload has none to offer.
	if _, err := ParseWorkloadRef(filepath.Join(dir, "named.yaml")).Open(os.DirFS(dir), nil); err == nil {
		t.Error("a plan without a workload of its own was taken for a workload")
	}
}
