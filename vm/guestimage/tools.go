package guestimage

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// tool is one host program that goes into the image at its own path.
type tool struct {
	name string
	path string
}

// candidate is a program that every guest gets.
type candidate struct {
	name string
	// pkg is the Debian package that has it.
	pkg string
	// optional programs are left out when the host has none.
	optional bool
}

// standardTools lists what every guest gets.
func standardTools() []candidate {
	return []candidate{
		{name: "busybox", pkg: "busybox-static"},
		{name: "dropbear", pkg: "dropbear-bin"},
		{name: "sftp-server", pkg: "openssh-sftp-server"},
		{name: "sysbench", pkg: "sysbench"},
		{name: "btrfs", pkg: "btrfs-progs"},
		{name: "mkfs.btrfs", pkg: "btrfs-progs"},
		{name: "mkfs.ext4", pkg: "e2fsprogs", optional: true},
	}
}

// searchPath lists where programs are looked for. It does not follow the
// user's PATH: for an ordinary user that lacks the sbin folders.
func searchPath() []string {
	return []string{
		"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin",
		"/sbin", "/bin", "/usr/lib/openssh", "/usr/libexec/openssh",
	}
}

// findTools resolves the standard programs and the extra ones, sorted by name.
func findTools(extra []string) ([]tool, error) {
	wanted := standardTools()
	for _, name := range extra {
		wanted = append(wanted, candidate{name: name})
	}
	return resolve(wanted)
}

// resolve finds all of the programs, or names all that are missing at once.
func resolve(wanted []candidate) ([]tool, error) {
	byPath := map[string]tool{}
	var missing []string
	for _, c := range wanted {
		path, ok := locate(c.name)
		switch {
		case ok:
			byPath[path] = tool{name: filepath.Base(c.name), path: path}
		case c.optional:
		case c.pkg != "":
			missing = append(missing, fmt.Sprintf("%s (apt-get install %s)", c.name, c.pkg))
		default:
			missing = append(missing, c.name+" (install the Debian package that has it: apt-file search, or command-not-found, names it)")
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("guest image: this host lacks %s", strings.Join(missing, ", "))
	}
	tools := make([]tool, 0, len(byPath))
	for _, t := range byPath {
		if err := checkExecutable(t.path); err != nil {
			return nil, err
		}
		tools = append(tools, t)
	}
	sort.Slice(tools, func(i, j int) bool { return tools[i].path < tools[j].path })
	return tools, nil
}

// locate finds a program by name or absolute path.
func locate(name string) (string, bool) {
	if filepath.IsAbs(name) {
		return filepath.Clean(name), isExecutable(name)
	}
	if strings.ContainsRune(name, '/') {
		return "", false
	}
	for _, dir := range searchPath() {
		path := filepath.Join(dir, name)
		if isExecutable(path) {
			return path, true
		}
	}
	return "", false
}

func isExecutable(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0
}

// checkExecutable refuses scripts whose interpreter the guest would not have.
func checkExecutable(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("guest image: %w", err)
	}
	defer f.Close()
	line, err := bufio.NewReaderSize(f, 256).ReadSlice('\n')
	if err != nil || !strings.HasPrefix(string(line), "#!") {
		return nil // not a script: binaries have no short first line
	}
	interp := strings.Fields(strings.TrimPrefix(string(line), "#!"))
	if len(interp) > 0 && (interp[0] == "/bin/sh" || interp[0] == "/usr/bin/sh") {
		return nil
	}
	return fmt.Errorf("guest image: %s is a script for %s, which guests do not have; give the interpreter as a tool and call it by name, or use a /bin/sh script",
		path, strings.Join(interp, " "))
}

func toolPaths(tools []tool) map[string]string {
	m := make(map[string]string, len(tools))
	for _, t := range tools {
		m[t.name] = t.path
	}
	return m
}
