package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"patchproof/dmesg"
	"patchproof/orchestrator"
)

func newDoctor(g *global) *cobra.Command {
	var (
		r      orchestrator.SingleRequest
		accel  string
		format string
	)
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "check QEMU, the accelerator, tools, disk and memory",
		Long: `Doctor looks at everything that runs depend on and says what to install. The
accelerator is tried by booting a kernel: the one given, or the one last used.

Exit status: 0 all that is needed is there, 4 something is missing.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r.Guest.Accel = accel
			h, done := g.harness(cmd)
			findings := h.Doctor(cmd.Context(), r)
			done()
			if format == "json" {
				if err := writeJSON(cmd, findings); err != nil {
					return err
				}
			} else {
				printFindings(cmd, findings)
			}
			for _, f := range findings {
				if f.Needed && !f.OK {
					return &statusError{status: statusBroken}
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&r.Kernel.Image, "kernel", "", "kernel image to try the accelerator with")
	cmd.Flags().StringVar(&accel, "accel", "", "accelerator to try: auto, kvm or tcg")
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

func printFindings(cmd *cobra.Command, findings []orchestrator.Finding) {
	var packages []string
	for _, f := range findings {
		mark := "ok     "
		switch {
		case !f.OK && f.Needed:
			mark = "MISSING"
		case !f.OK:
			mark = "absent "
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s  %-34s %s\n", mark, f.Name, dmesg.Sanitize(f.Detail))
		if f.Package != "" {
			packages = append(packages, f.Package)
		}
	}
	if len(packages) > 0 {
		fmt.Fprintf(cmd.OutOrStdout(), "\nto install what is missing:\n  apt-get install -y --no-install-recommends %s\n", strings.Join(packages, " "))
	}
}
