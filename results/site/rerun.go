package site

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"patchproof/results"
)

// command is a command line that can be copied into a shell.
type command struct{ What, Line string }

// commands are those that repeat a campaign.
func (c *campaign) commands() []command {
	var out []command
	if len(c.Command) > 0 {
		out = append(out, command{"The campaign again", results.ShellQuote(c.Command)})
	}
	if c.Kind == results.KindMatrix && !c.Running && c.ElapsedSeconds == 0 {
		out = append(out, command{"What is missing of it", results.ShellQuote([]string{"patchproof", "matrix", "--resume", c.Dir})})
	}
	return out
}

// cellCommand repeats one cell of a matrix.
func (c *campaign) cellCommand(key string) []command {
	m := c.Matrix
	if m == nil || m.PlanFile == "" || key == "" {
		return nil
	}
	words := []string{"patchproof", "matrix", strings.TrimPrefix(m.PlanFile, "shipped:plans/")}
	for _, name := range sortedKeys(m.Variables) {
		words = append(words, "--var", name+"="+m.Variables[name])
	}
	return []command{{"This cell again", results.ShellQuote(append(words, "--cell", key))}}
}

// runCommands repeat one run: its kernel, its workload, its guest. full is the
// run with its QEMU command line.
func (c *campaign) runCommands(full *results.Run) []command {
	out := c.cellCommand(full.Cell)
	if words := c.runAgain(full); words != nil {
		out = append(out, command{"This run again", results.ShellQuote(words)})
	}
	script := filepath.Join(full.Dir, byHandName)
	if stampOf(script) != (stamp{}) {
		out = append(out, command{"The same guest by hand, with a shell on its console", results.ShellQuote([]string{"sh", script})})
	}
	return append(out, c.commands()...)
}

// runAgain is patchproof run for the image and the workload of a run, or nil
// when the record does not say enough. The campaign's plan.yaml holds the
// workload as it was filled in.
func (c *campaign) runAgain(r *results.Run) []string {
	image := argument(r.Command, "-kernel")
	guest, ok := planGuest(c.Plan)
	if image == "" || !ok || c.Dir == "" || c.Tune != nil { // a tuning's plan has no setting but the start's
		return nil
	}
	words := []string{"patchproof", "run", "--kernel", image, "--workload", filepath.Join(c.Dir, "plan.yaml")}
	if guest.VCPUs > 0 {
		words = append(words, "--vcpus", fmt.Sprint(guest.VCPUs))
	}
	for _, f := range []struct{ flag, value string }{{"--memory", guest.Memory}, {"--disk", guest.Disk}, {"--accel", r.Accel}} {
		if f.value != "" {
			words = append(words, f.flag, f.value)
		}
	}
	// A perturbed image takes its share and seed from the command line.
	for _, word := range strings.Fields(argument(r.Command, "-append")) {
		switch {
		case strings.HasPrefix(word, "patchproof_perturb.seed="):
			word = fmt.Sprintf("patchproof_perturb.seed=%d", r.Seed) // a saved machine had another
		case !strings.HasPrefix(word, "patchproof_perturb.") && !slices.Contains(guest.Append, word):
			continue
		}
		words = append(words, "--append", word)
	}
	return words
}

// argument is the value of an option of a command line.
func argument(words []string, option string) string {
	i := slices.Index(words, option)
	if i < 0 || i+1 >= len(words) {
		return ""
	}
	return words[i+1]
}

// guestBlock is the guest of a plan as it was expanded.
type guestBlock struct {
	VCPUs        int `yaml:"vcpus"`
	Memory, Disk string
	Append       []string
}

// planGuest reads the guest of a plan. ok is false when the plan does not hold
// its workload.
func planGuest(plan []byte) (guest guestBlock, ok bool) {
	var doc struct {
		Guest    guestBlock
		Workload struct{ Phases []yaml.Node }
	}
	if err := yaml.Unmarshal(plan, &doc); err != nil {
		return guest, false
	}
	return doc.Guest, len(doc.Workload.Phases) > 0
}
