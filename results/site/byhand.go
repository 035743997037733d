package site

import (
	"os"
	"path/filepath"
	"strings"

	"patchproof/results"
)

// byHandName is the script in a run's folder that starts the run's guest by
// hand, and byHandBytes what is read of it.
const (
	byHandName  = "qemu-cmdline.txt"
	byHandBytes = 64 << 10
)

// qemuCommand is the QEMU command line of a run: the one in the record or, when
// that has none, the one of the script beside it, which differs in where the
// console goes. It is nil when there is neither.
func qemuCommand(r *results.Run) []string {
	if len(r.Command) > 0 {
		return r.Command
	}
	path := filepath.Join(r.Dir, byHandName)
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() || info.Size() > byHandBytes {
		return nil
	}
	script, err := os.ReadFile(path)
	if err != nil {
		return nil // the page does without
	}
	_, command, found := strings.Cut("\n"+string(script), "\nexec ")
	if !found {
		return nil
	}
	return shellWords(command)
}

// shellWords splits a command line as results.ShellQuote writes it: words with
// single quotes and backslashes, on lines that are continued. It ends where the
// command does, and is the inverse of ShellQuote.
func shellWords(s string) []string {
	var words []string
	var word strings.Builder
	inWord := false
	end := func() {
		if inWord {
			words = append(words, word.String())
			word.Reset()
		}
		inWord = false
	}
	for len(s) > 0 {
		c := s[0]
		s = s[1:]
		switch {
		case c == '\'':
			quoted, rest, closed := strings.Cut(s, "'")
			if !closed {
				return nil
			}
			word.WriteString(quoted)
			inWord, s = true, rest
		case c == '\\' && strings.HasPrefix(s, "\n"):
			s = s[1:]
		case c == '\\' && s != "":
			word.WriteByte(s[0])
			inWord, s = true, s[1:]
		case c == ' ' || c == '\t':
			end()
		case c == '\n':
			s = ""
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	end()
	return words
}
