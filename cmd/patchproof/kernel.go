package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"patchproof/kernels"
	"patchproof/orchestrator"
	"patchproof/workloads"
)

func newKernel(g *global) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "kernel",
		Short: "build, list and remove kernels of the cache",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newKernelBuild(g), newKernelList(g), newKernelGC(g))
	return cmd
}

func newKernelBuild(g *global) *cobra.Command {
	var (
		r      orchestrator.SingleRequest
		format string
	)
	cmd := &cobra.Command{
		Use:     "build",
		Short:   "build a kernel, or find it in the cache, and print its path",
		Example: "  patchproof kernel build --tarball /usr/src/linux-source-6.1.tar.xz",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, done := g.harness(cmd)
			image, err := h.BuildKernel(cmd.Context(), r)
			done()
			if err != nil {
				return err
			}
			if format == "json" {
				return writeJSON(cmd, image)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), image.Path)
			return err
		},
	}
	kernelFlags(cmd, &r)
	countVarP(cmd.Flags(), &r.Jobs, "jobs", "j", 0, 0, "compilers at a time")
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

func newKernelList(g *global) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "list the kernels of the cache, the one last used at the end",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, done := g.harness(cmd)
			defer done()
			store, err := h.OpenKernels()
			if err != nil {
				return err
			}
			images, err := store.List()
			if err != nil {
				return err
			}
			if format == "json" {
				return writeJSON(cmd, append([]*kernels.Image{}, images...))
			}
			return printImages(cmd, images)
		},
	}
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

func printImages(cmd *cobra.Command, images []*kernels.Image) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tRELEASE\tSOURCE\tPATCHES\tBUILT")
	for _, i := range images {
		p, built := i.Provenance, "-" // not here, for a ready image
		if !p.Built.IsZero() {
			built = p.Built.Format(time.DateTime)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", i.ID, i.Release, p.Source, len(p.Patches), built)
	}
	return w.Flush()
}

func newKernelGC(g *global) *cobra.Command {
	var o kernels.GCOptions
	cmd := gcCommand("remove kernels, source trees and build folders that were not used for long",
		&o.MaxBytes, &o.DryRun, func(cmd *cobra.Command) (r kernels.GCResult, err error) {
			h, done := g.harness(cmd)
			defer done()
			store, err := h.OpenKernels()
			if err != nil {
				return r, err
			}
			return store.GC(cmd.Context(), o)
		}, printGC)
	f := cmd.Flags()
	ageVar(f, &o.MaxAge, 30*24*time.Hour)
	f.StringArrayVar(&o.Keep, "keep", nil, "ID of a kernel that stays; repeatable")
	return cmd
}

func printGC(cmd *cobra.Command, result kernels.GCResult, dryRun bool) error {
	out, verb := cmd.OutOrStdout(), gcVerb(dryRun)
	for _, item := range result.Removed {
		fmt.Fprintf(out, "%s %s %s (%d MiB, %s)\n", verb, item.Kind, item.Path, item.Bytes>>20, item.Reason)
	}
	for _, busy := range result.Busy {
		fmt.Fprintf(out, "in use: %s\n", busy)
	}
	return printFreed(out, verb, result.FreedBytes, result.KeptBytes)
}

// gcCommand makes a command that removes what a cache does not need: collect
// does, or says what it would, and show tells a reader.
func gcCommand[R any](short string, maxBytes *uint64, dryRun *bool, collect func(*cobra.Command) (R, error),
	show func(cmd *cobra.Command, r R, dryRun bool) error) *cobra.Command {
	var maxSize, format string
	cmd := &cobra.Command{
		Use:   "gc",
		Short: short,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if *maxBytes, err = parseMaxSize(maxSize); err != nil {
				return err
			}
			result, err := collect(cmd)
			if err != nil {
				return err
			}
			if format == "json" {
				return writeJSON(cmd, result)
			}
			return show(cmd, result, *dryRun)
		},
	}
	f := cmd.Flags()
	f.StringVar(&maxSize, "max-size", "", "then remove what was used least lately until this is left, such as 20GiB")
	f.BoolVar(dryRun, "dry-run", false, "only say what would be removed")
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

// parseMaxSize reads --max-size of the commands named gc; empty is 0.
func parseMaxSize(text string) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	size, err := workloads.ParseSize(text)
	if err != nil {
		return 0, usage("--max-size: %w", err)
	}
	if size == 0 {
		return 0, usage("--max-size: expected a size such as 20GiB, got %q; to remove all that was not used just now, give --max-age 1s", text)
	}
	return uint64(size), nil
}

// gcVerb and printFreed are how these commands say what they have done.
func gcVerb(dryRun bool) string {
	if dryRun {
		return "would remove"
	}
	return "removed"
}

func printFreed(out io.Writer, verb string, freed, kept uint64) error {
	_, err := fmt.Fprintf(out, "%s %d MiB, %d MiB are left\n", verb, freed>>20, kept>>20)
	return err
}
