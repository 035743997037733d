package results

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"time"
)

// kernelOrigin is what KCIDB wants to know of kernels.Provenance. It is the only
// place of this package that looks inside one; unknown or missing fields, and
// provenance that cannot be read, only leave gaps.
type kernelOrigin struct {
	Source struct {
		Kind   string `json:"kind"`
		Rev    string `json:"rev"`
		Commit string `json:"commit"`
		SHA256 string `json:"sha256"`
	} `json:"source"`
	Patches []struct {
		SHA256   string   `json:"sha256"`
		Subjects []string `json:"subjects"`
	} `json:"patches"`
	Base         string    `json:"base_config"`
	ConfigSHA256 string    `json:"config_sha256"`
	Compiler     string    `json:"compiler"`
	ElapsedNS    float64   `json:"elapsed_ns"`
	Built        time.Time `json:"built"`
}

func originOf(k KernelRecord) kernelOrigin {
	var o kernelOrigin
	if json.Unmarshal(k.Provenance, &o) != nil {
		return kernelOrigin{} // not half of it
	}
	return o
}

// build adds a kernel's checkout and build and returns the build's ID.
func (k *kcidb) build(kernel KernelRecord) string {
	name := cmp.Or(kernel.SHA256, kernel.ID, digest(kernel.Label, kernel.Release))
	id := k.id("build", name)
	if !k.first(id) {
		return id
	}
	o := originOf(kernel)
	b := kcidbBuild{ID: id, Origin: k.origin, CheckoutID: k.checkout(kernel, &o), Architecture: "x86_64", Status: "PASS",
		Comment: KernelText(kernel), Compiler: line(o.Compiler), ConfigName: line(o.Base), StartTime: timeText(o.Built), Duration: o.ElapsedNS / 1e9,
		Miscellaneous: map[string]any{}}
	for key, value := range map[string]string{"image_sha256": kernel.SHA256, "image_id": kernel.ID, "release": kernel.Release, "config_sha256": o.ConfigSHA256} {
		if value != "" {
			b.Miscellaneous[key] = line(value)
		}
	}
	k.doc.Builds = append(k.doc.Builds, b)
	return id
}

var commitHash = regexp.MustCompile(`^[0-9a-f]{40}$`)

// checkout adds a kernel's sources and returns their ID. A ready image stands
// for its own sources, of which nothing else is known.
func (k *kcidb) checkout(kernel KernelRecord, o *kernelOrigin) string {
	patchset := o.patchset()
	source := cmp.Or(o.Source.Commit, o.Source.SHA256, kernel.SHA256, kernel.ID, kernel.Label)
	id := k.id("checkout", digest(source, patchset))
	if !k.first(id) {
		return id
	}
	c := kcidbCheckout{ID: id, Origin: k.origin, Valid: true, Comment: KernelText(kernel), StartTime: timeText(o.Built)}
	if commitHash.MatchString(o.Source.Commit) {
		c.CommitHash, c.CommitName = o.Source.Commit, line(o.Source.Rev)
	}
	if o.Source.Kind != "" && o.Source.Kind != "image" {
		c.PatchsetHash = &patchset
		c.Miscellaneous = map[string]any{"source": line(o.Source.Kind)}
	}
	k.doc.Checkouts = append(k.doc.Checkouts, c)
	return id
}

// patchset is the hash of the series of patches as the schema defines it: that
// of the lines that hold each patch's hash. It is empty without patches.
func (o *kernelOrigin) patchset() string {
	if len(o.Patches) == 0 {
		return ""
	}
	hash := sha256.New()
	for _, p := range o.Patches {
		fmt.Fprintln(hash, p.SHA256)
	}
	return hex.EncodeToString(hash.Sum(nil))
}
