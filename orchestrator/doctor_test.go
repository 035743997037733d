package orchestrator

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestSetupAndDoctorAgree: scripts/setup runs before there is a patchproof, so
// its list is one of its own.
func TestSetupAndDoctorAgree(t *testing.T) {
	script, err := os.ReadFile("../scripts/setup")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(script), "needs=\"\n")
	list, _, _ = strings.Cut(list, "\n\"")
	installs := strings.Split(list, "\n")
	var wants []string
	for _, r := range append(slices.Clone(requirements), emulator) {
		wants = append(wants, r.name+" "+r.pkg)
	}
	slices.Sort(installs)
	slices.Sort(wants)
	if !slices.Equal(installs, wants) {
		t.Errorf("scripts/setup installs\n%s\nand doctor asks for\n%s", strings.Join(installs, "\n"), strings.Join(wants, "\n"))
	}
}
