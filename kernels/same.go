package kernels

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// SameError says that two images are the same kernel, so that a comparison of
// their runs would prove nothing.
type SameError struct {
	A, B   *Image
	Reason string
}

func (e *SameError) Error() string {
	return fmt.Sprintf("pre and post are the same kernel, bit for bit (%s, sha256 %.12s): %s", e.A.Release, e.A.SHA256, e.Reason)
}

// SameImage returns a *SameError that explains why when a and b are the same
// kernel, and nil when they differ.
func SameImage(a, b *Image) error {
	if a.SHA256 != b.SHA256 {
		return nil
	}
	return &SameError{a, b, sameReason(a, b)}
}

func sameReason(a, b *Image) string {
	if a.Provenance.Source.Kind == SourceImage || b.Provenance.Source.Kind == SourceImage {
		if a.Modules != b.Modules {
			return "only their modules differ, by which kernels are not told apart: have the code in question built in, or give the two builds different releases (CONFIG_LOCALVERSION)"
		}
		return "name two different images"
	}
	if a.ID == b.ID {
		return "both sides name the same source, patches and configuration"
	}
	differ := differingFiles(a, b)
	subject := "the series touches"
	ca, cb := a.Provenance.Source.Commit, b.Provenance.Source.Commit
	if ca != cb {
		subject = "the revisions and patches touch"
		differ = append(differ, commitFiles(a, ca, cb)...)
		slices.Sort(differ)
		differ = slices.Compact(differ)
	}
	var unbuilt, built []string
	for _, name := range differ {
		if builtBy(a, name) || builtBy(b, name) {
			built = append(built, name)
		} else {
			unbuilt = append(unbuilt, name)
		}
	}
	switch {
	case len(differ) == 0:
		return "the patches leave the sources as they are, or only the configuration or make variables differ, without effect"
	case len(built) == 0:
		return fmt.Sprintf("%s %s, which this config does not build: turn the option on in a fragment", subject, nameSome(unbuilt))
	}
	return fmt.Sprintf("%s %s, which is built, but the compiled code is the same (comments, or code that this config leaves out)", subject, nameSome(built))
}

// differingFiles lists the touched files that differ between two images of the
// same base.
func differingFiles(a, b *Image) []string {
	names := append(a.TouchedFiles(), b.TouchedFiles()...)
	slices.Sort(names)
	var out []string
	for _, name := range slices.Compact(names) {
		da, oka := a.sourceFile(name)
		db, okb := b.sourceFile(name)
		if oka != okb || !bytes.Equal(da, db) {
			out = append(out, name)
		}
	}
	return out
}

func commitFiles(a *Image, ca, cb string) []string {
	if ca == "" || cb == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	names, err := gitChanged(ctx, filepath.Join(a.Provenance.TreeDir, "tree"), ca, cb)
	if err != nil {
		return nil // the explanation is poorer without them, no more
	}
	return names
}

// builtBy says whether an image's configuration builds a source file.
func builtBy(i *Image, name string) bool {
	for _, t := range i.Provenance.Touched {
		if t.Path == name {
			return t.Built
		}
	}
	ext := filepath.Ext(name)
	if ext != ".c" && ext != ".S" {
		return false
	}
	_, err := os.Stat(filepath.Join(i.Provenance.BuildDir, "out", strings.TrimSuffix(name, ext)+".o"))
	return err == nil
}

// nameSome lists a few names in full and counts the rest.
func nameSome(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more files", strings.Join(names[:most], ", "), len(names)-most)
}
