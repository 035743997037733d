package main

import (
	"fmt"
	"net"

	"github.com/spf13/cobra"

	"patchproof/results/live"
	"patchproof/results/site"
)

func newServe(g *global) *cobra.Command {
	var (
		listen string
		hosts  []string
	)
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "show the results in a browser, live while campaigns run",
		Long: `Serve shows the campaigns of the results folder in a browser. Pages follow what
other processes write while campaigns run. It listens on this machine only,
unless told otherwise, and ends with Ctrl-C.

Whoever can reach the address can read all console logs. With an address that
others can reach, names that the server may be called by have to be given with
--host; addresses and localhost always work.`,
		Example: `  patchproof serve
  patchproof serve --listen 0.0.0.0:8417 --host ci.example.org`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := net.Listen("tcp", listen)
			if err != nil {
				return usage("--listen: %w", err)
			}
			if _, err := fmt.Fprintf(cmd.OutOrStdout(), "http://%s/\n", l.Addr()); err != nil {
				l.Close()
				return err
			}
			h, done := g.harness(cmd)
			done()
			return live.Serve(cmd.Context(), l, g.resultsDir, live.Options{
				Site:  site.Options{Version: version(), Config: h.KernelConfigs()},
				Hosts: hosts,
				Error: func(err error) { fmt.Fprintln(cmd.ErrOrStderr(), "patchproof:", err) },
			})
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:8417", "address and port; port 0 takes a free one")
	cmd.Flags().StringArrayVar(&hosts, "host", nil, "name that requests may call the server by; repeatable")
	return cmd
}
