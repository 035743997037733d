package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"patchproof/dmesg"
	"patchproof/kernels"
)

// dmesgFlags are the flags of patchproof dmesg.
type dmesgFlags struct {
	format, vmlinux, source, minSeverity string
	signatures                           []string
	follow                               bool
}

func newDmesg() *cobra.Command {
	var f dmesgFlags
	cmd := &cobra.Command{
		Use:   "dmesg [FILE|-]",
		Short: "find the reports in a kernel log",
		Long: `Dmesg reads a kernel log - a console capture, dmesg's output, a syslog - and
prints the reports in it: warnings, BUGs, oopses, panics, sanitizer findings,
lockdep splats and stalls. With --min-severity low it also prints what the kernel
survives without harm to itself: file system and I/O errors, OOM kills, faults
of user programs.

Exit status: 0 no report, 1 reports found, 2 usage.`,
		Example: `  patchproof dmesg console.log
  dmesg | patchproof dmesg --format json -
  patchproof dmesg --signature 'kind=WARNING,function=btrfs_destroy_inode' console.log`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := "-"
			if len(args) == 1 {
				name = args[0]
			}
			return f.run(cmd, name)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.vmlinux, "vmlinux", "", "vmlinux with debug information, for source lines of call traces")
	flags.StringVar(&f.source, "source", "", "kernel source tree, for the text of failed conditions")
	flags.StringVar(&f.minSeverity, "min-severity", "medium", "leave out what is below: low, medium, high")
	flags.StringArrayVar(&f.signatures, "signature", nil, "show only what matches: kind=,file=,function=,condition=,title= with commas between; repeatable")
	flags.BoolVarP(&f.follow, "follow", "f", false, "go on reading as the log grows; shows a report without end mark after 5 s of silence")
	formatFlag(cmd, &f.format, "text", "json", "ndjson")
	return cmd
}

func (f *dmesgFlags) run(cmd *cobra.Command, name string) error {
	sink, err := f.sink(cmd.OutOrStdout())
	if err != nil {
		return err
	}
	in, err := openLog(cmd.InOrStdin(), name)
	if err != nil {
		return err
	}
	defer in.Close()
	parser := dmesg.NewParser(sink.report)
	if f.follow {
		err = follow(cmd.Context(), parser, in, name != "-", livePace)
	} else {
		_, err = io.Copy(struct{ io.Writer }{parser}, bufio.NewReaderSize(in, 1<<20))
	}
	parser.Close() // never fails
	if err := sink.close(); err != nil {
		return fmt.Errorf("printing reports: %w", err)
	}
	if sink.hidden > 0 && f.format == "text" {
		fmt.Fprintf(cmd.ErrOrStderr(), "patchproof: %d reports of a lower severity are not shown; see --min-severity\n", sink.hidden)
	}
	if err != nil {
		return &statusError{statusUsage, fmt.Errorf("reading %s: %w", name, err)}
	}
	if sink.count > 0 {
		return &statusError{status: statusBad}
	}
	return nil
}

func openLog(stdin io.Reader, name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(stdin), nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, usage("kernel log: %w", err)
	}
	if info, err := file.Stat(); err == nil && info.IsDir() {
		file.Close()
		return nil, usage("kernel log: %s is a folder; give the console log in it", name)
	}
	return file, nil
}

// reportSink prints reports as they are found.
type reportSink struct {
	out        io.Writer
	format     string
	min        dmesg.Severity
	signatures []dmesg.Signature
	source     dmesg.SourceLines
	symbols    *dmesg.Symbolizer
	count      int
	hidden     int // of too low a severity
	err        error
}

func (f *dmesgFlags) sink(out io.Writer) (*reportSink, error) {
	s := &reportSink{out: out, format: f.format}
	var err error
	if s.min, err = dmesg.ParseSeverity(f.minSeverity); err != nil {
		return nil, usage("--min-severity: %w", err)
	}
	for _, text := range f.signatures {
		signature, err := parseSignature(text)
		if err != nil {
			return nil, err
		}
		s.signatures = append(s.signatures, signature)
	}
	if f.source != "" {
		if info, err := os.Stat(f.source); err != nil || !info.IsDir() {
			return nil, usage("--source: %s is not a folder", f.source)
		}
		s.source = kernels.SourceDir(f.source)
	}
	if f.vmlinux != "" {
		if s.symbols, err = dmesg.OpenSymbolizer(f.vmlinux); err != nil {
			return nil, usage("--vmlinux: %w", err)
		}
	}
	return s, nil
}

func parseSignature(text string) (dmesg.Signature, error) {
	var s dmesg.Signature
	for _, part := range strings.Split(text, ",") {
		key, value, ok := strings.Cut(part, "=")
		field, known := map[string]*string{"name": &s.Name, "kind": (*string)(&s.Kind), "file": &s.File,
			"function": &s.Function, "condition": &s.Condition, "title": &s.Title}[strings.TrimSpace(key)]
		if !ok || !known {
			return s, usage("--signature: expected kind=, file=, function=, condition= or title=, got %q", part)
		}
		*field = value
	}
	if err := s.Validate(); err != nil {
		return s, usage("--signature: %w", err)
	}
	return s, nil
}

func (s *reportSink) wants(r *dmesg.Report) bool {
	if r.Severity < s.min {
		s.hidden++
		return false
	}
	for _, sig := range s.signatures {
		if sig.Match(r) {
			return true
		}
	}
	return len(s.signatures) == 0
}

// report prints one report; it is called by the parser.
func (s *reportSink) report(r dmesg.Report) {
	if s.source != nil {
		one := []dmesg.Report{r}
		dmesg.Annotate(one, s.source)
		r = one[0]
	}
	if s.symbols != nil {
		s.symbols.Symbolize(&r)
	}
	if !s.wants(&r) {
		return
	}
	s.count++
	switch s.format {
	case "text":
		s.keep(dmesg.WriteText(s.out, []dmesg.Report{r}, dmesg.TextOptions{MaxFrames: -1}))
	case "ndjson":
		s.keep(json.NewEncoder(s.out).Encode(r))
	case "json":
		s.array(r)
	}
}

// array prints the reports as the elements of one JSON array.
func (s *reportSink) array(r dmesg.Report) {
	data, err := json.MarshalIndent(r, "  ", "  ")
	s.keep(err)
	open := ",\n  "
	if s.count == 1 {
		open = "[\n  "
	}
	_, err = fmt.Fprintf(s.out, "%s%s", open, data)
	s.keep(err)
}

func (s *reportSink) keep(err error) {
	if s.err == nil {
		s.err = err
	}
}

func (s *reportSink) close() error {
	if s.format == "json" {
		end := "\n]\n"
		if s.count == 0 {
			end = "[]\n"
		}
		_, err := io.WriteString(s.out, end)
		s.keep(err)
	}
	if errors.Is(s.err, os.ErrClosed) {
		return nil
	}
	return s.err
}
