package site

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"patchproof/results"
)

// kernelView is a kernel with all that is known of where it comes from.
type kernelView struct {
	Name       string
	Facts      []fact
	Provenance []provenanceRow
	Config     string // link
}

// provenanceRow is a line of a kernel's provenance.
type provenanceRow struct {
	Depth int
	Name  string
	Value string
}

// kernels lists the kernels of a campaign, each once.
func (s *Site) kernels(c *campaign) []kernelView {
	var out []kernelView
	seen := map[string]bool{}
	add := func(k results.KernelRecord) {
		key := k.ID + k.SHA256 + k.Label
		if key == "" || seen[key] {
			return
		}
		seen[key] = true
		out = append(out, s.kernel(k))
	}
	add(c.Pre)
	add(c.Post)
	if c.Matrix != nil {
		for _, cell := range c.Matrix.Cells {
			add(cell.Kernel)
		}
	}
	return out
}

func (s *Site) kernel(k results.KernelRecord) kernelView {
	v := kernelView{Name: results.KernelText(k), Provenance: provenance(k.Provenance)}
	for _, f := range []struct{ name, value string }{{"Release", k.Release}, {"Image", k.ID}, {"SHA-256", k.SHA256}} {
		if f.value != "" {
			v.Facts = append(v.Facts, fact{f.name, f.value})
		}
	}
	if s.hasConfig(k.ID) {
		v.Config = configFile(k.ID)
	}
	return v
}

// hasConfig reports whether the site has the configuration of a kernel.
func (s *Site) hasConfig(id string) bool {
	return kernelName.MatchString(configFile(id)) && s.config(id) != ""
}

// kernelIDs lists the kernels of a campaign and of all its runs, each once.
func (c *campaign) kernelIDs() []string {
	var ids []string
	ids = addWord(addWord(ids, c.Pre.ID), c.Post.ID)
	if c.Matrix != nil {
		for i := range c.Matrix.Cells {
			ids = addWord(ids, c.Matrix.Cells[i].Kernel.ID)
		}
	}
	for i := range c.Runs {
		ids = addWord(ids, c.Runs[i].Kernel.ID)
	}
	return ids
}

func configFile(kernelID string) string { return "kernel-" + kernelID + configTail }

// provenanceRows bounds the lines of one kernel's provenance.
const provenanceRows = 200

// provenance turns the record of a kernel's origin, whose form is its own
// affair, into lines: objects and lists are indented below their names.
func provenance(record json.RawMessage) []provenanceRow {
	if len(record) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(record))
	d.UseNumber()
	var w provenanceWriter
	if err := w.value(d, "", -1); err != nil {
		w.rows = append(w.rows, provenanceRow{Name: "the rest", Value: fmt.Sprintf("cannot be read: %v", err)})
	}
	return w.rows
}

type provenanceWriter struct{ rows []provenanceRow }

func (w *provenanceWriter) add(depth int, name, value string) {
	if len(w.rows) < provenanceRows {
		w.rows = append(w.rows, provenanceRow{max(0, min(depth, 4)), name, value})
	}
}

func (w *provenanceWriter) value(d *json.Decoder, name string, depth int) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	open, nested := token.(json.Delim)
	if !nested {
		text := ""
		if token != nil {
			text = fmt.Sprint(token)
		}
		w.add(depth, label(name), text)
		return nil
	}
	if name != "" {
		w.add(depth, label(name), "")
	}
	for number := 1; d.More(); number++ {
		child := fmt.Sprint(number)
		if open == '{' {
			key, err := d.Token()
			if err != nil {
				return err
			}
			child = fmt.Sprint(key)
		}
		if err := w.value(d, child, depth+1); err != nil {
			return err
		}
	}
	_, err = d.Token() // the closing bracket
	return err
}

func label(name string) string { return strings.ReplaceAll(name, "_", " ") }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
