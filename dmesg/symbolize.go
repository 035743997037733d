package dmesg

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"sort"
)

// Symbolizer turns the functions and offsets of a trace into files and lines,
// with the frames that the compiler inlined. It needs a vmlinux that was built
// for the very kernel that printed the log; names and sizes of functions are
// compared, so a wrong one is mostly noticed. Addresses in the log are not
// used: a kernel with a randomised base works.
//
// A Symbolizer is not safe for use by several goroutines at once.
type Symbolizer struct {
	core    *binary
	modules map[string]*binary
	cache   map[Frame][]Frame
}

// binary is one ELF file: the kernel or a module.
type binary struct {
	path    string
	file    *elf.File
	symbols map[string][]elf.Symbol // functions by name
	lines   *lineTable              // nil without DWARF
}

// OpenSymbolizer reads the symbols and the debug information of a vmlinux.
// Close it when done. A file without DWARF is an error that says what to do.
func OpenSymbolizer(vmlinux string) (*Symbolizer, error) {
	b, err := openBinary(vmlinux)
	if err != nil {
		return nil, err
	}
	return &Symbolizer{core: b, modules: map[string]*binary{}, cache: map[Frame][]Frame{}}, nil
}

// AddModule adds the debug information of a module. name is the one that
// traces show in brackets.
func (s *Symbolizer) AddModule(name, path string) error {
	b, err := openBinary(path)
	if err != nil {
		return err
	}
	s.modules[name] = b
	return nil
}

// Close releases the files.
func (s *Symbolizer) Close() error {
	errs := []error{s.core.file.Close()}
	for _, m := range s.modules {
		errs = append(errs, m.file.Close())
	}
	return errors.Join(errs...)
}

func openBinary(path string) (*binary, error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w; give the uncompressed vmlinux of the build, not a bzImage", path, err)
	}
	b := &binary{path: path, file: f, symbols: map[string][]elf.Symbol{}}
	if err := b.load(); err != nil {
		f.Close()
		return nil, err
	}
	return b, nil
}

func (b *binary) load() error {
	symbols, err := b.file.Symbols()
	if err != nil {
		return fmt.Errorf("read symbols of %s: %w; use a vmlinux that is not stripped", b.path, err)
	}
	for _, sym := range symbols {
		if t := elf.ST_TYPE(sym.Info); sym.Section != elf.SHN_UNDEF && (t == elf.STT_FUNC || t == elf.STT_NOTYPE) && sym.Name != "" {
			b.symbols[sym.Name] = append(b.symbols[sym.Name], sym)
		}
	}
	data, err := b.file.DWARF()
	if err != nil {
		return fmt.Errorf("read debug information of %s: %w; build with CONFIG_DEBUG_INFO or KCFLAGS=-g", b.path, err)
	}
	b.lines, err = newLineTable(data)
	if err != nil {
		return fmt.Errorf("read debug information of %s: %w; build with CONFIG_DEBUG_INFO or KCFLAGS=-g", b.path, err)
	}
	return nil
}

// Symbolize fills File and Line of the report's frames and puts inlined
// functions before the function that they were inlined into. When the header
// names no source line, the report gets the guilty function's.
func (s *Symbolizer) Symbolize(r *Report) {
	var out []Frame
	for _, f := range r.Trace {
		if f.File != "" || f.Inlined {
			out = append(out, f)
			continue
		}
		out = append(out, s.expand(f)...)
	}
	r.Trace = out
	if r.File != "" || r.Function == "" {
		return
	}
	for _, f := range out {
		if f.File != "" && titleFunction(f.Function) == r.Function {
			r.File, r.Line = f.File, f.Line
			return
		}
	}
}

// expand returns a frame with what was inlined at its place, innermost first.
func (s *Symbolizer) expand(f Frame) []Frame {
	if known, ok := s.cache[f]; ok {
		return known
	}
	frames := s.lookup(f)
	if len(s.cache) > 1<<16 { // a log can hold any number of different frames
		clear(s.cache)
	}
	s.cache[f] = frames
	return frames
}

func (s *Symbolizer) lookup(f Frame) []Frame {
	b := s.core
	if f.Module != "" {
		if b = s.modules[f.Module]; b == nil {
			return []Frame{f}
		}
	}
	start, ok := b.address(f)
	if !ok {
		return []Frame{f}
	}
	pc := start + f.Offset
	if !f.exact && pc > 0 {
		pc-- // a return address points behind the call
	}
	places := b.lines.places(pc)
	if len(places) == 0 {
		return []Frame{f}
	}
	frames := make([]Frame, len(places))
	for i, p := range places {
		frames[i] = Frame{Function: p.function, Module: f.Module, Unreliable: f.Unreliable, File: p.file, Line: p.line, Inlined: true}
	}
	last := &frames[len(frames)-1]
	file, line := last.File, last.Line
	*last = f
	last.File, last.Line = file, line
	return frames
}

// address finds a frame's function. Several static functions can have one
// name: the size decides, and without a match of size nothing is better than
// something wrong.
func (b *binary) address(f Frame) (uint64, bool) {
	candidates := b.symbols[f.Function]
	for _, c := range candidates {
		// kallsyms counts padding up to the next symbol, ELF does not.
		if f.Size == 0 || c.Size == f.Size || c.Size < f.Size && f.Size-c.Size < 64 {
			return c.Value, true
		}
	}
	if len(candidates) == 1 && f.Offset < f.Size && candidates[0].Size == 0 {
		return candidates[0].Value, true
	}
	return 0, false
}

// sortUnits orders compilation units by address.
func sortUnits(units []unitRange) {
	sort.Slice(units, func(i, j int) bool { return units[i].low < units[j].low })
}

var errNoUnits = fmt.Errorf("no compilation units: %w", io.ErrUnexpectedEOF)
