package dmesg

import (
	"debug/dwarf"
	"path"
	"sort"
)

// lineTable answers which source lines an address belongs to. Units are
// indexed at the start; what is inside a unit is read when an address in it is
// asked for.
type lineTable struct {
	data  *dwarf.Data
	units []unitRange
}

// unitRange is one address range of a compilation unit.
type unitRange struct {
	low, high uint64 // high is excluded
	unit      *dwarf.Entry
}

// place is one level of a source position: a function and where in it.
type place struct {
	function, file string
	line           int
}

func newLineTable(data *dwarf.Data) (*lineTable, error) {
	t := &lineTable{data: data}
	r := data.Reader()
	for {
		e, err := r.Next()
		if err != nil {
			return nil, err
		}
		if e == nil {
			break
		}
		if e.Tag == dwarf.TagCompileUnit {
			ranges, err := data.Ranges(e)
			if err != nil {
				return nil, err
			}
			for _, x := range ranges {
				if x[0] < x[1] {
					t.units = append(t.units, unitRange{x[0], x[1], e})
				}
			}
		}
		r.SkipChildren()
	}
	if len(t.units) == 0 {
		return nil, errNoUnits
	}
	sortUnits(t.units)
	return t, nil
}

// places returns the functions at an address, the innermost inlined one first
// and the one that has code of its own last. It is empty when the address is
// not described.
func (t *lineTable) places(pc uint64) []place {
	i := sort.Search(len(t.units), func(i int) bool { return t.units[i].low > pc }) - 1
	if i < 0 || pc >= t.units[i].high {
		return nil
	}
	unit := t.units[i].unit
	lr, err := t.data.LineReader(unit)
	if err != nil || lr == nil {
		return nil
	}
	var entry dwarf.LineEntry
	if err := lr.SeekPC(pc, &entry); err != nil || entry.File == nil {
		return nil
	}
	file, line := entry.File.Name, entry.Line
	directory, _ := unit.Val(dwarf.AttrCompDir).(string)
	var places []place
	for _, e := range t.enclosing(unit, pc) { // outermost first
		places = append(places, place{function: t.name(e)})
		if n := len(places); n > 1 {
			// The outer level stands where the inner one was called.
			places[n-2].file, places[n-2].line = callSite(e, lr.Files())
		}
	}
	if len(places) == 0 {
		return nil
	}
	places[len(places)-1].file, places[len(places)-1].line = file, line
	for i, j := 0, len(places)-1; i < j; i, j = i+1, j-1 {
		places[i], places[j] = places[j], places[i]
	}
	for i := range places {
		places[i].file = sourcePath(directory, places[i].file)
	}
	return places
}

// sourcePath is the path in the kernel tree of a file that DWARF names.
func sourcePath(directory, file string) string {
	if file == "" {
		return ""
	}
	if !path.IsAbs(file) && directory != "" {
		file = path.Join(directory, file)
	}
	return kernelPath(path.Clean(file))
}

// callSite is where an inlined function was called.
func callSite(e *dwarf.Entry, files []*dwarf.LineFile) (string, int) {
	index, _ := e.Val(dwarf.AttrCallFile).(int64)
	line, _ := e.Val(dwarf.AttrCallLine).(int64)
	if index < 0 || index >= int64(len(files)) || files[index] == nil {
		return "", int(line)
	}
	return files[index].Name, int(line)
}

// enclosing lists the function and the inlined calls around an address.
func (t *lineTable) enclosing(unit *dwarf.Entry, pc uint64) []*dwarf.Entry {
	r := t.data.Reader()
	r.Seek(unit.Offset)
	if _, err := r.Next(); err != nil {
		return nil
	}
	var found []*dwarf.Entry
	for {
		e, err := r.Next()
		if err != nil || e == nil {
			return found
		}
		if e.Tag == 0 { // the end of a list of children
			if len(found) > 0 {
				return found
			}
			continue
		}
		if e.Tag == dwarf.TagCompileUnit {
			return found
		}
		switch e.Tag {
		case dwarf.TagSubprogram, dwarf.TagInlinedSubroutine:
			if t.covers(e, pc) {
				found = append(found, e)
				if !e.Children {
					return found
				}
				continue // look inside
			}
		case dwarf.TagLexDwarfBlock:
			if len(found) > 0 && t.covers(e, pc) {
				continue
			}
		}
		if e.Children {
			r.SkipChildren()
		}
	}
}

func (t *lineTable) covers(e *dwarf.Entry, pc uint64) bool {
	ranges, err := t.data.Ranges(e)
	if err != nil {
		return false
	}
	for _, x := range ranges {
		if x[0] <= pc && pc < x[1] {
			return true
		}
	}
	return false
}

// name follows a subroutine's references to the entry that names it.
func (t *lineTable) name(e *dwarf.Entry) string {
	for range 8 { // a malformed file may hold a cycle
		if name, ok := e.Val(dwarf.AttrName).(string); ok {
			return name
		}
		next, ok := e.Val(dwarf.AttrAbstractOrigin).(dwarf.Offset)
		if !ok {
			if next, ok = e.Val(dwarf.AttrSpecification).(dwarf.Offset); !ok {
				return ""
			}
		}
		r := t.data.Reader()
		r.Seek(next)
		entry, err := r.Next()
		if err != nil || entry == nil {
			return ""
		}
		e = entry
	}
	return ""
}
