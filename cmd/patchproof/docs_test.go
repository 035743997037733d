package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

var codeBlock = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

// nightlyBlocks are the code blocks of docs/nightly.md in a language.
func nightlyBlocks(t *testing.T, language string) []string {
	t.Helper()
	text, err := os.ReadFile("../../docs/nightly.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, m := range codeBlock.FindAllStringSubmatch(string(text), -1) {
		if m[1] == language {
			blocks = append(blocks, m[2])
		}
	}
	return blocks
}

// yamlStrings are all strings of a YAML document.
func yamlStrings(n *yaml.Node) []string {
	out := []string{n.Value}
	for _, child := range n.Content {
		out = append(out, yamlStrings(child)...)
	}
	return out
}

var (
	shellWord    = regexp.MustCompile(`(?:"[^"]*"|'[^']*'|[^\s"'])+`)
	expression   = regexp.MustCompile(`\$\{\{[^}]*\}\}`)
	continuation = regexp.MustCompile(`\\\n\s*`)
	comment      = regexp.MustCompile(`\s#\s.*`)
)

// patchproofLines are the command lines of patchproof in a script or a unit, as
// the words after the program.
func patchproofLines(script string) [][]string {
	var lines [][]string
	for _, line := range strings.Split(continuation.ReplaceAllString(script, " "), "\n") {
		line = strings.TrimPrefix(comment.ReplaceAllString(line, ""), "ExecStart=")
		words := shellWord.FindAllString(expression.ReplaceAllString(line, "1"), -1)
		if len(words) < 2 || filepath.Base(words[0]) != "patchproof" {
			continue
		}
		for i, w := range words {
			words[i] = strings.NewReplacer(`"`, "", "'", "").Replace(w)
		}
		lines = append(lines, words[1:])
	}
	return lines
}

// TestNightlyCommands: the command lines of docs/nightly.md, in whatever block,
// are ones that patchproof takes.
func TestNightlyCommands(t *testing.T) {
	var scripts []string
	for _, block := range nightlyBlocks(t, "yaml") {
		var doc yaml.Node
		if err := yaml.Unmarshal([]byte(block), &doc); err != nil {
			t.Fatal(err)
		}
		scripts = append(scripts, yamlStrings(&doc)...)
	}
	scripts = append(append(scripts, nightlyBlocks(t, "")...), nightlyBlocks(t, "ini")...)
	count := 0
	for _, script := range scripts {
		for _, words := range patchproofLines(script) {
			count++
			if err := takes(words); err != nil {
				t.Errorf("patchproof %s: %v", strings.Join(words, " "), err)
			}
		}
	}
	if count != 9 {
		t.Errorf("%d command lines found: the test or the page has changed", count)
	}
	// The check must be able to fail.
	for _, bad := range []string{"matrix a.yaml --no-such-flag", "matrix a.yaml --budget long", "matrix a b", "no-such-command"} {
		if takes(strings.Fields(bad)) == nil {
			t.Errorf("patchproof %s was taken", bad)
		}
	}
}

// takes parses a command line without carrying it out.
func takes(words []string) error {
	cmd, rest, err := newRoot(environment()).Find(words)
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}

// strictly decodes YAML that may hold the keys of v only.
func strictly(t *testing.T, text string, v any) {
	t.Helper()
	d := yaml.NewDecoder(strings.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(v); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
}

// githubWorkflow has those keys of GitHub's workflow syntax that the page uses.
type githubWorkflow struct {
	Name string
	On   struct {
		Schedule []struct{ Cron string }
		Dispatch *struct{} `yaml:"workflow_dispatch"`
	}
	Permissions map[string]string
	Jobs        map[string]struct {
		Needs    string
		If       string
		RunsOn   string `yaml:"runs-on"`
		Strategy *struct {
			FailFast bool             `yaml:"fail-fast"`
			Matrix   map[string][]int `yaml:"matrix"`
		}
		Steps []struct {
			Name, Uses, Run, If string
			With                map[string]string
		}
	}
}

func TestNightlyGitHubWorkflow(t *testing.T) {
	var w githubWorkflow
	strictly(t, nightlyBlocks(t, "yaml")[0], &w)
	if len(w.On.Schedule) != 1 || len(strings.Fields(w.On.Schedule[0].Cron)) != 5 {
		t.Errorf("schedule %+v", w.On.Schedule)
	}
	if len(w.Jobs["matrix"].Strategy.Matrix["shard"]) != 3 {
		t.Errorf("matrix %+v", w.Jobs["matrix"].Strategy)
	}
	for name, job := range w.Jobs {
		if _, ok := w.Jobs[job.Needs]; !ok && job.Needs != "" || job.RunsOn == "" || len(job.Steps) == 0 {
			t.Errorf("job %s: %+v", name, job)
		}
		for _, step := range job.Steps {
			if (step.Uses == "") == (step.Run == "") || step.Uses != "" && !strings.Contains(step.Uses, "@") || step.Run != "" && step.With != nil {
				t.Errorf("job %s: a step uses an action or runs a script: %+v", name, step)
			}
		}
	}
}

// gitlabPipeline has those keys of GitLab's .gitlab-ci.yml that the page uses.
type gitlabPipeline struct {
	Stages  []string
	Default struct {
		Image string
		Cache struct {
			Key   string
			Paths []string
		}
	}
	Jobs map[string]struct {
		Stage        string
		Parallel     int
		Rules        []struct{ If, When string }
		BeforeScript []string `yaml:"before_script"`
		Script       []string
		Artifacts    struct {
			When  string
			Paths []string
		}
	} `yaml:",inline"`
}

func TestNightlyGitLabPipeline(t *testing.T) {
	var p gitlabPipeline
	strictly(t, nightlyBlocks(t, "yaml")[1], &p)
	if len(p.Jobs) != 2 || p.Jobs["shard"].Parallel != 3 {
		t.Errorf("jobs %+v", p.Jobs)
	}
	whens := []string{"", "always", "on_success", "on_failure", "never", "manual"}
	for name, job := range p.Jobs {
		if !slices.Contains(p.Stages, job.Stage) || len(job.Script) == 0 || !slices.Contains(whens, job.Artifacts.When) || len(job.Artifacts.Paths) == 0 {
			t.Errorf("job %s: %+v", name, job)
		}
		for _, rule := range job.Rules {
			if rule.If == "" || !slices.Contains(whens, rule.When) {
				t.Errorf("job %s: rule %+v", name, rule)
			}
		}
	}
}

// TestNightlyUnits lets systemd check its units. The program that they start is
// not installed here: the test's own takes its place.
func TestNightlyUnits(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not here: apt-get install systemd")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	blocks := nightlyBlocks(t, "ini")
	if len(blocks) != 2 {
		t.Fatalf("%d units found", len(blocks))
	}
	verify := func(service string) string {
		dir := t.TempDir()
		files := map[string]string{"patchproof-nightly.service": service, "patchproof-nightly.timer": blocks[1]}
		args := []string{"verify"}
		for name, text := range files {
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			args = append(args, path)
		}
		out, err := exec.CommandContext(t.Context(), analyze, args...).CombinedOutput()
		if err != nil {
			return string(out) + err.Error()
		}
		return string(bytes.TrimSpace(out))
	}
	service := strings.Replace(blocks[0], "/usr/local/bin/patchproof", self, 1)
	if fault := verify(service); fault != "" {
		t.Error(fault)
	}
	// What is checked must be able to fail.
	if verify(strings.Replace(service, "KillMode=mixed", "KillMode=gently", 1)) == "" {
		t.Error("a wrong value was not noticed")
	}
}
