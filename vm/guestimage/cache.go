package guestimage

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"patchproof/vm/internal/atomicfile"
)

// input is a host file that an image was made from. Comparing size and times
// costs microseconds where hashing costs a tenth of a second.
type input struct {
	Path    string    `json:"path"`
	Size    int64     `json:"size"`
	ModTime time.Time `json:"mtime"`
	// Changed is when the inode was. cp -p and the unpacking of packages, whose
	// times are clamped when they are built reproducibly, keep ModTime.
	Changed time.Time `json:"ctime"`
}

// statInput describes a file as it is now.
func statInput(path string) (input, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return input{}, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return input{Path: path, Size: st.Size, ModTime: time.Unix(st.Mtim.Unix()), Changed: time.Unix(st.Ctim.Unix())}, nil
}

// unchanged says that the file is still as it was.
func (i input) unchanged() bool {
	now, err := statInput(i.Path)
	return err == nil && now.Size == i.Size && now.ModTime.Equal(i.ModTime) && now.Changed.Equal(i.Changed)
}

// index is what the cache remembers of an image.
type index struct {
	ID     string            `json:"id"`
	Size   int64             `json:"size"`
	Tools  map[string]string `json:"tools"`
	Inputs []input           `json:"inputs"`
}

// specKey identifies the question "an image with these programs", so that
// images for different sets of tools live side by side.
func specKey(tools []tool, modules Modules) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d\n%x\n%q\n", formatVersion, sha256.Sum256(initScript),
		[]string{passwd, group, nsswitch, shells, hosts})
	for _, t := range tools {
		fmt.Fprintf(h, "%s\x00%s\n", t.name, t.path)
	}
	if modules.Dir != "" {
		fmt.Fprintf(h, "modules %q %q\n", modules.Dir, modules.wanted())
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

func statInputs(tools []tool, libs []string, modules []module) ([]input, error) {
	paths := append([]string{}, libs...)
	for _, t := range tools {
		paths = append(paths, t.path)
	}
	for _, m := range modules {
		paths = append(paths, m.path)
	}
	inputs := make([]input, 0, len(paths))
	for _, p := range paths {
		in, err := statInput(p)
		if err != nil {
			return nil, fmt.Errorf("guest image: %w", err)
		}
		inputs = append(inputs, in)
	}
	return inputs, nil
}

// lookUp returns the cached image, unless one of its inputs has changed or the
// archive is not what was written. A damaged index counts as none.
func lookUp(indexPath, cacheDir string, tools []tool) (*Image, bool) {
	data, err := os.ReadFile(indexPath)
	if err != nil {
		return nil, false
	}
	var idx index
	if json.Unmarshal(data, &idx) != nil || len(idx.ID) != 2*sha256.Size {
		return nil, false
	}
	if !maps.Equal(idx.Tools, toolPaths(tools)) {
		return nil, false
	}
	for _, in := range idx.Inputs {
		if !in.unchanged() {
			return nil, false
		}
	}
	img := &Image{Path: imagePath(cacheDir, idx.ID), ID: idx.ID, Tools: idx.Tools}
	st, err := os.Stat(img.Path)
	if err != nil || st.Size() != idx.Size {
		return nil, false
	}
	return img, true
}

// remember writes the index of an image, atomically.
func remember(indexPath string, img *Image, inputs []input) error {
	st, err := os.Stat(img.Path)
	if err != nil {
		return err
	}
	return atomicfile.WriteJSON(indexPath, ".guest-*.tmp",
		index{ID: img.ID, Size: st.Size(), Tools: img.Tools, Inputs: inputs})
}
