package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"patchproof/orchestrator"
)

// env is what the program takes from its environment; nothing else reads it.
type env struct {
	cacheDir, resultsDir string
	err                  error
}

func environment() env {
	cache, err := os.UserCacheDir() // $XDG_CACHE_HOME or ~/.cache
	if err != nil {
		return env{err: fmt.Errorf("%w; set XDG_CACHE_HOME or use --cache-dir", err)}
	}
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) {
		home, err := os.UserHomeDir()
		if err != nil {
			return env{err: fmt.Errorf("%w; set XDG_STATE_HOME or use --results-dir", err)}
		}
		state = filepath.Join(home, ".local", "state")
	}
	return env{
		cacheDir:   filepath.Join(cache, "patchproof"),
		resultsDir: filepath.Join(state, "patchproof", "results"),
	}
}

// global holds the flags that all commands share.
type global struct {
	cacheDir, resultsDir, qemu string
	quiet                      bool
	perturbSeed                uint64
	fork                       orchestrator.ForkMode
}

func newRoot(e env) *cobra.Command {
	g := &global{}
	root := &cobra.Command{
		Use:           "patchproof",
		Short:         "find out whether a kernel patch fixes a bug, and what it breaks",
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version(),
		Args:          cobra.NoArgs,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if g.cacheDir != "" && g.resultsDir != "" || !usesFolders(cmd) {
				return nil
			}
			if e.err != nil {
				return &statusError{statusUsage, e.err}
			}
			return usage("--cache-dir and --results-dir must not be empty")
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	flags := root.PersistentFlags()
	flags.StringVar(&g.cacheDir, "cache-dir", e.cacheDir, "folder for kernels and guest images")
	flags.StringVar(&g.resultsDir, "results-dir", e.resultsDir, "folder for the records of campaigns")
	flags.StringVar(&g.qemu, "qemu", "", "QEMU to run guests with (default qemu-system-x86_64)")
	flags.BoolVarP(&g.quiet, "quiet", "q", false, "show no progress")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &statusError{statusUsage, fmt.Errorf("%w; see '%s --help'", err, cmd.CommandPath())}
	})
	root.AddCommand(newVerify(g), newTune(g), newMatrix(g), newPlan(), newBisect(g), newTestCommit(g), newRun(g), newShell(g), newDoctor(g), newKernel(g), newBench(g), newCache(g), newResults(g), newServe(g), withoutFolders(newDmesg()))
	usageArgs(root)
	return root
}

// usageArgs makes a wrong number of arguments a usage error, for a command and
// those below it.
func usageArgs(c *cobra.Command) {
	c.SuggestionsMinimumDistance = 2 // slips that are taken for another command
	if check := c.Args; check != nil {
		c.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				if cmd.HasSubCommands() && len(args) > 0 && args[0] != "" {
					if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
						err = fmt.Errorf("%w; did you mean %s?", err, strings.Join(near, " or "))
					}
				}
				return &statusError{statusUsage, fmt.Errorf("%w; see '%s --help'", err, cmd.CommandPath())}
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		usageArgs(sub)
	}
}

// noFolders marks the commands that need neither cache nor results, and so no
// home either.
const noFolders = "no folders"

func usesFolders(cmd *cobra.Command) bool {
	_, marked := cmd.Annotations[noFolders]
	parent := cmd.Parent()
	return !marked && cmd.Name() != "help" && (parent == nil || parent.Name() != "completion")
}

func withoutFolders(cmd *cobra.Command) *cobra.Command {
	cmd.Annotations = map[string]string{noFolders: ""}
	return cmd
}

// harness returns the harness for a command, and what has to be closed when
// the command has ended.
func (g *global) harness(cmd *cobra.Command) (*orchestrator.Harness, func()) {
	p := newProgress(cmd.ErrOrStderr(), g.quiet)
	return &orchestrator.Harness{
		CacheDir:    g.cacheDir,
		ResultsDir:  g.resultsDir,
		QEMU:        g.qemu,
		PerturbSeed: g.perturbSeed,
		Fork:        g.fork,
		Version:     version(),
		Command:     os.Args,
		Events:      p.Event,
	}, p.Close
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			v += " " + s.Value[:12]
		}
	}
	return v
}
