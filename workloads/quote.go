package workloads

import "strings"

// quote makes s one word of a POSIX shell command line. Words of harmless
// characters stay as they are, so that command lines read like hand-written
// ones.
func quote(s string) string {
	const harmless = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+,./:@%^"
	if s != "" && strings.Trim(s, harmless) == "" && !strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune(harmless, r) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// quoteWords is a command line of these words.
func quoteWords(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quote(w)
	}
	return strings.Join(quoted, " ")
}

// lines joins commands into one that stops at the first failure.
func lines(commands ...string) string { return strings.Join(commands, " &&\n") }
