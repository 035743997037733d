package kernels

import (
	"context"
	"fmt"
	"strings"
)

// ChangedFiles lists the files in which two revisions of a git tree differ. It
// only reads the tree.
func ChangedFiles(ctx context.Context, tree, from, to string) ([]string, error) {
	out, err := command{
		name: "git",
		args: []string{"-C", tree, "diff", "--name-only", "-z", "--no-renames", "--end-of-options", from, to, "--"},
		env:  []string{"GIT_OPTIONAL_LOCKS=0"},
	}.output(ctx)
	if err != nil {
		return nil, &SourceError{fmt.Errorf("changes between %s and %s in %s: %w", from, to, tree, err)}
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == 0 }), nil
}
