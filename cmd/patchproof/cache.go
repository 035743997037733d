package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"patchproof/vm/statecache"
)

func newCache(g *global) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cache",
		Short: "look after the saved machines that runs go on from",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCacheGC(g))
	return cmd
}

func newCacheGC(g *global) *cobra.Command {
	var o statecache.GCOptions
	cmd := gcCommand("remove saved machines that were not used for long; kernels have a gc of their own",
		&o.MaxBytes, &o.DryRun, func(cmd *cobra.Command) (r statecache.GCResult, err error) {
			h, done := g.harness(cmd)
			defer done()
			cache, err := h.OpenStates()
			if err != nil {
				return r, err
			}
			return cache.GC(o)
		}, printStates)
	f := cmd.Flags()
	ageVar(f, &o.MaxAge, 7*24*time.Hour)
	f.BoolVar(&o.All, "all", false, "remove all that is not in use")
	return cmd
}

func printStates(cmd *cobra.Command, result statecache.GCResult, dryRun bool) error {
	out, verb := cmd.OutOrStdout(), gcVerb(dryRun)
	for _, i := range result.Removed {
		fmt.Fprintf(out, "%s saved machine %s (%d MiB, last used %s)\n", verb, i.Key, i.Bytes>>20, i.Used.Format(time.DateTime))
	}
	for _, key := range result.Busy {
		fmt.Fprintf(out, "in use: %s\n", key)
	}
	return printFreed(out, verb, result.FreedBytes, result.KeptBytes)
}
