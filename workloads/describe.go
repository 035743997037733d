package workloads

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Describe renders steps for people: every command line exactly as it will
// run, and in words what is checked after it.
func Describe(steps []Step) string {
	var b strings.Builder
	for i, s := range steps {
		fmt.Fprintf(&b, "%d. %s (limit %v, scaled by the machine's slowdown)\n", i+1, s.Name, Duration(s.Timeout))
		for line := range strings.Lines(s.Command) {
			fmt.Fprintf(&b, "     %s\n", strings.TrimRight(line, "\n"))
		}
		fmt.Fprintf(&b, "   check: %s\n", strings.Join(s.Checks, "; "))
	}
	return b.String()
}

// MarshalJSON renders the step with its time limit in seconds. Check is a
// function; Checks stands for it.
func (s Step) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Phase          int      `json:"phase"`
		Name           string   `json:"name"`
		Command        string   `json:"command"`
		TimeoutSeconds float64  `json:"timeout_seconds"`
		Checks         []string `json:"checks"`
	}{s.Phase, s.Name, s.Command, s.Timeout.Seconds(), s.Checks})
}
