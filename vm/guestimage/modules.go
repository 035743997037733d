package guestimage

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Modules asks for the modules that a kernel needs to drive a guest. Kernels of
// distributions have nearly everything as a module.
type Modules struct {
	// Dir is the kernel's lib/modules/RELEASE; empty for a kernel that has what
	// a guest needs built in.
	Dir string
	// FileSystems are those that the guest is going to mount.
	FileSystems []string
}

// deviceModules drive what every guest has, in the order in which they are
// loaded. A kernel that has one of them built in has no such file.
var deviceModules = []string{"virtio_pci", "virtio_blk", "virtio_net", "virtio_rng", "pvpanic_pci"}

// fileSystemModules are needed beside the dependencies that modules state:
// checksums that the file system asks the kernel's crypto API for by algorithm.
// Names differ between kernel versions; those that there are not are left out.
var fileSystemModules = map[string][]string{
	"btrfs": {"crc32c_generic", "xxhash_generic", "sha256_generic", "blake2b_generic"},
	"ext4":  {"crc32c_generic"},
	"f2fs":  {"crc32_generic"},
	"xfs":   {"crc32c_generic"},
}

// modulesList is where the guest finds the paths of its modules, in the order
// in which init loads them.
const modulesList = "etc/patchproof-modules"

// module is one kernel module, unpacked.
type module struct {
	name, path string // path on the host
	data       []byte
}

// wanted lists the names of the modules, before their dependencies.
func (m Modules) wanted() []string {
	names := slices.Clone(deviceModules)
	for _, system := range m.FileSystems {
		names = append(names, fileSystemModules[system]...)
		names = append(names, system)
	}
	return names
}

// find reads the modules and what they depend on, each after its dependencies.
func (m Modules) find(ctx context.Context) ([]module, error) {
	if m.Dir == "" {
		return nil, nil
	}
	files, err := moduleFiles(m.Dir)
	if err != nil {
		return nil, err
	}
	c := &moduleClosure{files: files, seen: map[string]bool{}}
	for _, name := range m.wanted() {
		if err := c.add(ctx, name); err != nil {
			return nil, err
		}
	}
	return c.order, nil
}

// moduleFiles maps the names of all modules below dir to their paths.
func moduleFiles(dir string) (map[string]string, error) {
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name, _, isModule := strings.Cut(entry.Name(), ".ko"); isModule && !entry.IsDir() {
			files[moduleName(name)] = path
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("guest image: kernel modules: %w", err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("guest image: no kernel modules in %s: name the folder lib/modules/RELEASE of the kernel", dir)
	}
	return files, nil
}

// moduleName is a module's name as the kernel spells it.
func moduleName(s string) string { return strings.ReplaceAll(s, "-", "_") }

type moduleClosure struct {
	files map[string]string
	seen  map[string]bool
	order []module
}

// add reads a module, after those that it depends on. One that has no file is
// built in, or unknown to this kernel.
func (c *moduleClosure) add(ctx context.Context, name string) error {
	path, known := c.files[name]
	if c.seen[name] || !known {
		return nil
	}
	c.seen[name] = true
	data, err := unpackModule(ctx, path)
	if err != nil {
		return fmt.Errorf("guest image: kernel module %s: %w", path, err)
	}
	depends, err := moduleDepends(data)
	if err != nil {
		return fmt.Errorf("guest image: kernel module %s: %w", path, err)
	}
	for _, d := range depends {
		if err := c.add(ctx, moduleName(d)); err != nil {
			return err
		}
	}
	c.order = append(c.order, module{name: name, path: path, data: data})
	return nil
}

// unpackers are the programs for compressed modules, by suffix.
var unpackers = map[string]string{".xz": "xz", ".gz": "gzip", ".zst": "zstd"}

func unpackModule(ctx context.Context, path string) ([]byte, error) {
	program, packed := unpackers[filepath.Ext(path)]
	if !packed {
		return os.ReadFile(path)
	}
	cmd := exec.CommandContext(ctx, program, "-dc", path)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	data, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w %s", program, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return data, nil
}

// moduleDepends reads the module's own statement of what it depends on: its
// section .modinfo holds "name=value" strings, each ended by a zero byte.
func moduleDepends(data []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	section := f.Section(".modinfo")
	if section == nil {
		return nil, errors.New("it has no section .modinfo, so it is no kernel module")
	}
	info, err := section.Data()
	if err != nil {
		return nil, err
	}
	for _, entry := range strings.Split(string(info), "\x00") {
		if list, ok := strings.CutPrefix(entry, "depends="); ok && list != "" {
			return strings.Split(list, ","), nil
		}
	}
	return nil, nil
}

// modules writes the modules and the list of their paths.
func (s *segment) modules(list []module) {
	if len(list) == 0 {
		return
	}
	var paths strings.Builder
	for _, m := range list {
		name := "lib/modules/" + m.name + ".ko"
		s.file(name, m.data, 0o644)
		paths.WriteString("/" + name + "\n")
	}
	s.file(modulesList, []byte(paths.String()), 0o644)
}
