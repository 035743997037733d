package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

var codeBlock = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

// TestNightlyDocumentation: every patchproof command line of docs/nightly.md has
// flags that there are, and every YAML block is YAML.
func TestNightlyDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/nightly.md")
	if err != nil {
		t.Fatal(err)
	}
	commands, blocks := 0, 0
	for _, m := range codeBlock.FindAllStringSubmatch(string(text), -1) {
		block := m[2]
		if m[1] == "yaml" {
			blocks++
			var v any
			if err := yaml.Unmarshal([]byte(block), &v); err != nil {
				t.Errorf("not YAML: %v\n%s", err, block)
			}
		}
		for _, line := range strings.Split(strings.ReplaceAll(block, "\\\n", " "), "\n") {
			_, words, found := strings.Cut(line, "patchproof matrix ")
			name := "matrix"
			if !found {
				_, words, found = strings.Cut(line, "patchproof results merge ")
				name = "results merge"
			}
			if !found {
				continue
			}
			commands++
			cmd, _, err := newRoot(environment()).Find(strings.Fields(name))
			if err != nil {
				t.Fatal(err)
			}
			for _, flag := range regexp.MustCompile(`--([a-z-]+)`).FindAllStringSubmatch(words, -1) {
				if cmd.Flag(flag[1]) == nil {
					t.Errorf("%s has no flag --%s: %s", name, flag[1], line)
				}
			}
		}
	}
	if commands < 6 || blocks < 2 {
		t.Errorf("%d command lines and %d YAML blocks found", commands, blocks)
	}
}
