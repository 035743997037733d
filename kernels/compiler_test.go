package kernels

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

// TestPaholeIsPartOfTheAddress: kbuild writes pahole's version into the image,
// so images from before and after its installation must not be compared.
func TestPaholeIsPartOfTheAddress(t *testing.T) {
	tool := filepath.Join(t.TempDir(), "pahole")
	put(t, tool, "#!/bin/sh\necho v9.99\n")
	if err := os.Chmod(tool, 0o755); err != nil {
		t.Fatal(err)
	}
	if got := paholeID(context.Background(), []string{"PAHOLE=" + tool}); got != "pahole v9.99" {
		t.Errorf("paholeID = %q", got)
	}
	if got := paholeID(context.Background(), []string{"PAHOLE=/nonexistent/pahole"}); got != "" {
		t.Errorf("paholeID without pahole = %q", got)
	}
	in := inputs{src: &tarballSource{}, config: &configInput{}}
	without, folder := in.imageID(), in.buildID()
	in.pahole = "pahole v9.99"
	if in.imageID() == without {
		t.Error("images with and without pahole have one address")
	}
	if in.buildID() != folder {
		t.Error("pahole changes the build folder, which make keeps up to date by itself")
	}
}

// TestChangedCompilerScript: a wrapper that passes other options on says the
// same version as before.
func TestChangedCompilerScript(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	cc, _ := Spec{Make: f.spec.Make}.makeValue("CC")
	before := f.build(t, f.spec)
	replace(t, cc, "\nexit 0", "\necho instrumented >> \"$out\"\nexit 0")
	if after := f.build(t, f.spec); after.SHA256 == before.SHA256 {
		t.Error("the image of the wrapper as it was before was taken")
	}
}
