package orchestrator

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"patchproof/workloads"
)

// guestTools asks the programs that the guest image was made from for their
// versions: the copies in the guest are the same files.
func guestTools(ctx context.Context, paths map[string]string) (workloads.Tools, error) {
	var t workloads.Tools
	for _, q := range []struct {
		program string
		args    []string
		answer  *string
		maybe   bool
	}{
		{"sysbench", []string{"--version"}, &t.SysbenchVersion, false},
		{"mkfs.btrfs", []string{"--version"}, &t.BtrfsProgsVersion, false},
		{"mkfs.btrfs", []string{"-O", "list-all"}, &t.MkfsFeatures, false},
		{"mkfs.btrfs", []string{"-R", "list-all"}, &t.MkfsRuntimeFeatures, true},
	} {
		path, ok := paths[q.program]
		if !ok {
			continue
		}
		out, err := ask(ctx, path, q.args)
		if err != nil && !q.maybe {
			return t, err
		}
		*q.answer = out
	}
	return t, nil
}

// ask runs a program that only prints something. Some print it to standard
// error, some exit with a status other than 0 after it.
func ask(ctx context.Context, path string, args []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	text := strings.TrimSpace(string(out))
	if ctx.Err() != nil {
		return "", fmt.Errorf("%s %s: %w", path, strings.Join(args, " "), ctx.Err())
	}
	if err != nil && text == "" {
		return "", fmt.Errorf("%s %s: %w", path, strings.Join(args, " "), err)
	}
	return text, nil
}
