package kernels

import "strings"

// SourceDir is a folder of kernel sources as they are, without an image. It
// gives lines like an Image does.
type SourceDir string

// SourceLine returns a line of a source file and up to 8 more; see
// [Image.SourceLine].
func (d SourceDir) SourceLine(file string, line int) (text []string, ok bool) {
	for _, name := range suffixes(file) {
		data, found := readBelow(string(d), name)
		if !found {
			continue
		}
		lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
		if line < 1 || line > len(lines) {
			return nil, false
		}
		return lines[line-1 : min(line+sourceLineContext, len(lines))], true
	}
	return nil, false
}
