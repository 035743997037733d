package dmesg

import (
	"strconv"
	"strings"
)

// splitSource reads "fs/btrfs/inode.c:8026".
func splitSource(word string) (file string, line int, ok bool) {
	colon := strings.IndexByte(word, ':')
	if sanitizeLine(word) != word {
		return "", 0, false
	}
	if colon < 3 || strings.IndexByte(word, '/') < 0 && !strings.HasSuffix(word[:colon], ".c") {
		return "", 0, false
	}
	number := word[colon+1:]
	if i := strings.IndexByte(number, ':'); i > 0 {
		number = number[:i]
	}
	line, err := strconv.Atoi(number)
	if err != nil || line <= 0 {
		return "", 0, false
	}
	switch word[strings.LastIndexByte(word[:colon], '.')+1 : colon] {
	case "c", "h", "S", "rs", "inc":
		return kernelPath(word[:colon]), line, true
	}
	return "", 0, false
}

// sourceRoots are the top directories of a kernel tree.
var sourceRoots = [...]string{"arch", "block", "certs", "crypto", "drivers", "fs", "include",
	"init", "io_uring", "ipc", "kernel", "lib", "mm", "net", "rust", "samples", "security",
	"sound", "tools", "virt"}

// kernelPath cuts the build directory off an absolute path, so that the same
// file has the same name in every build.
func kernelPath(path string) string {
	for strings.HasPrefix(path, "./") || strings.HasPrefix(path, "../") {
		path = path[strings.IndexByte(path, '/')+1:]
	}
	if !strings.HasPrefix(path, "/") {
		return path
	}
	parts := strings.Split(path, "/")
	start := 0
	for i, p := range parts[:len(parts)-1] {
		if strings.HasPrefix(p, "linux") || p == "source" || p == "kernel-source" {
			start = i + 1
		}
	}
	for _, from := range []int{start, 0} {
		for i := from; i < len(parts)-1; i++ {
			for _, root := range sourceRoots {
				if parts[i] == root {
					return strings.Join(parts[i:], "/")
				}
			}
		}
	}
	return path
}
