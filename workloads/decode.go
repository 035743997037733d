package workloads

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Limits on input, far above any plan that a person writes. Aliases are
// counted each time they are followed, so that a short file cannot expand into
// a large one.
const (
	maxDocumentBytes = 1 << 20
	maxNodes         = 100_000
	maxDepth         = 32
)

// document is a parsed YAML file, kept so that it can be decoded again with
// other values of its variables.
type document struct {
	file string
	root *yaml.Node
}

// yamlErrorLine finds the line in an error of the YAML scanner, which has no
// structured position.
var yamlErrorLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?(.*)`)

func parseDocument(file string, data []byte) (*document, error) {
	if len(data) > maxDocumentBytes {
		return nil, &PositionError{File: file, Message: fmt.Sprintf("the file is too large: a plan or workload has at most %d bytes", maxDocumentBytes)}
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var node yaml.Node
	switch err := dec.Decode(&node); {
	case errors.Is(err, io.EOF) || err == nil && len(node.Content) != 1:
		return nil, &PositionError{File: file, Line: 1, Column: 1, Message: "the file is empty"}
	case err != nil:
		return nil, yamlError(file, err)
	}
	var second yaml.Node
	switch err := dec.Decode(&second); {
	case err == nil:
		return nil, &PositionError{File: file, Line: second.Line, Column: max(1, second.Column), Message: "expected one YAML document, found a second"}
	case !errors.Is(err, io.EOF):
		return nil, yamlError(file, err)
	}
	return &document{file: file, root: node.Content[0]}, nil
}

func yamlError(file string, err error) error {
	m := yamlErrorLine.FindStringSubmatch(strings.ReplaceAll(err.Error(), "\n", " "))
	line, convErr := strconv.Atoi(m[1])
	if convErr != nil || line < 1 {
		line = 1
	}
	return &PositionError{File: file, Line: line, Column: 1, Message: "not valid YAML: " + m[2]}
}

// decoder walks a document and a Go value side by side. The first error ends
// the walk.
type decoder struct {
	source
	vars map[string]string
	// unset holds the variables that were declared without a value.
	unset map[string]bool
	// used holds the variables that the document itself refers to.
	used map[string]bool
	// nodes and depth guard against documents that expand without end.
	nodes, depth int
}

// decode fills the struct that into points at. vars override the defaults in
// the document's own variables block; names that the block does not declare
// are an error, unless undeclared ones are accepted by the caller beforehand.
func (doc *document) decode(into any, vars map[string]string) (*decoder, error) {
	d, err := doc.decoder(vars)
	if err != nil {
		return nil, err
	}
	if err := d.value(doc.root, reflect.ValueOf(into).Elem(), ""); err != nil {
		return nil, err
	}
	return d, nil
}

// decoder returns a decoder that knows the document's variables.
func (doc *document) decoder(vars map[string]string) (*decoder, error) {
	d := &decoder{
		source: source{file: doc.file, at: map[string]position{}},
		vars:   map[string]string{}, unset: map[string]bool{}, used: map[string]bool{},
	}
	if err := d.declare(doc.root); err != nil {
		return nil, err
	}
	for name, value := range vars {
		if _, declared := d.vars[name]; !declared && !d.unset[name] {
			return nil, &PositionError{File: doc.file, Message: fmt.Sprintf("no variable %q%s", name, d.variableHint(name))}
		}
		d.vars[name] = value
		delete(d.unset, name)
	}
	return d, nil
}

// declare reads the variables block before anything else is decoded.
func (d *decoder) declare(root *yaml.Node) *PositionError {
	if root.Kind != yaml.MappingNode {
		return nil // the walk will say so
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value != "variables" {
			continue
		}
		block := follow(root.Content[i+1])
		if block.Kind != yaml.MappingNode {
			return nil
		}
		for j := 0; j+1 < len(block.Content); j += 2 {
			key, value := block.Content[j], follow(block.Content[j+1])
			switch {
			case !variableName.MatchString(key.Value):
				return d.nodeErrorf(key, "expected the name of a variable (letters, digits, _ and -), got %s", shorten(key.Value))
			case value.Kind != yaml.ScalarNode:
				return d.nodeErrorf(value, "variable %s: expected one value, got %s", key.Value, describeNode(value))
			case value.Tag == "!!null":
				d.unset[key.Value] = true
			default:
				d.vars[key.Value] = value.Value
			}
		}
	}
	return nil
}

// follow resolves an alias.
func follow(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}

// valueOf decodes node n into what into points at.
func (d *decoder) valueOf(n *yaml.Node, into any, path string) *PositionError {
	return d.value(n, reflect.ValueOf(into).Elem(), path)
}

// eachPair walks a block whose keys are names of the user's, in their order.
// at is the path of the pair's value.
func (d *decoder) eachPair(n *yaml.Node, path string, pair func(name string, key, value *yaml.Node, at string) *PositionError) *PositionError {
	if n.Kind != yaml.MappingNode {
		return d.nodeErrorf(n, "%s: expected names with values, got %s", label(path), describeNode(n))
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		at := path + "." + key.Value
		if _, twice := d.at[at]; twice {
			return d.nodeErrorf(key, "%s: %s is given twice", label(path), shorten(key.Value))
		}
		d.at[at] = position{key.Line, key.Column}
		if err := pair(key.Value, key, n.Content[i+1], at); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) nodeErrorf(n *yaml.Node, format string, args ...any) *PositionError {
	return &PositionError{File: d.file, Line: n.Line, Column: n.Column, Message: fmt.Sprintf(format, args...)}
}

var textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()

// value decodes node n into v. path names the place, for messages and for the
// position map.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string) *PositionError {
	d.at[path] = position{n.Line, n.Column}
	if d.nodes++; d.nodes > maxNodes {
		return d.nodeErrorf(n, "the file expands to more than %d values; use fewer aliases", maxNodes)
	}
	if d.depth++; d.depth > maxDepth {
		return d.nodeErrorf(n, "the file is nested more than %d levels deep", maxDepth)
	}
	defer func() { d.depth-- }()
	n = follow(n)
	if custom, ok := v.Addr().Interface().(nodeDecoder); ok {
		return custom.decodeNode(d, n, path)
	}
	if v.Addr().Type().Implements(textUnmarshaler) || isScalarKind(v.Kind()) {
		return d.scalar(n, v, path)
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return d.value(n, v.Elem(), path)
	case reflect.Slice:
		return d.list(n, v, path)
	case reflect.Map:
		return d.stringMap(n, v, path)
	default:
		return d.mapping(n, v, path)
	}
}

// nodeDecoder is a type with more than one form in YAML.
type nodeDecoder interface {
	decodeNode(d *decoder, n *yaml.Node, path string) *PositionError
}

func isScalarKind(k reflect.Kind) bool {
	switch k {
	case reflect.String, reflect.Int, reflect.Float64, reflect.Bool:
		return true
	}
	return false
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, path string) *PositionError {
	if n.Kind != yaml.SequenceNode {
		return d.nodeErrorf(n, "%s: expected a list, got %s", label(path), describeNode(n))
	}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		if err := d.value(item, out.Index(i), indexed(path, i)); err != nil {
			return err
		}
	}
	v.Set(out)
	return nil
}

// stringMap checks the variables block, whose values declare has already read,
// and records where each stands.
func (d *decoder) stringMap(n *yaml.Node, v reflect.Value, path string) *PositionError {
	out := map[string]string{}
	err := d.eachPair(n, path, func(name string, _, _ *yaml.Node, _ string) *PositionError {
		if value, set := d.vars[name]; set {
			out[name] = value
		}
		return nil
	})
	v.Set(reflect.ValueOf(out))
	return err
}

// field is one field of a schema struct.
type field struct {
	name     string
	index    []int
	required bool
}

// fields lists the YAML fields of a struct, those of inlined structs included.
func fields(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, flags, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case flags == "inline":
			for _, inner := range fields(f.Type) {
				inner.index = append([]int{i}, inner.index...)
				out = append(out, inner)
			}
		case f.IsExported() && name != "" && name != "-":
			out = append(out, field{name, []int{i}, f.Tag.Get("spec") == "required"})
		}
	}
	return out
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, path string) *PositionError {
	known := fields(v.Type())
	names := make([]string, len(known))
	for i, f := range known {
		names[i] = f.name
	}
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		// "sync:" with nothing after it is an action without fields
	case n.Kind != yaml.MappingNode:
		return d.nodeErrorf(n, "%s: expected fields (%s), got %s", label(path), strings.Join(names, ", "), describeNode(n))
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		f, err := d.lookup(key, known, names, path)
		if err != nil {
			return err
		}
		if seen[f.name] {
			return d.nodeErrorf(key, "%s: field %q is given twice", label(path), f.name)
		}
		seen[f.name] = true
		if err := d.value(n.Content[i+1], v.FieldByIndex(f.index), join(path, f.name)); err != nil {
			return err
		}
	}
	for _, f := range known {
		if f.required && !seen[f.name] {
			return d.nodeErrorf(n, "%s: missing field %q", label(path), f.name)
		}
	}
	return nil
}

// lookup finds the field that a key names.
func (d *decoder) lookup(key *yaml.Node, known []field, names []string, path string) (field, *PositionError) {
	if key.Kind == yaml.ScalarNode {
		for _, f := range known {
			if f.name == key.Value {
				return f, nil
			}
		}
	}
	switch {
	case key.Kind != yaml.ScalarNode:
		return field{}, d.nodeErrorf(key, "%s: expected a field name, got %s", label(path), describeNode(key))
	case key.Tag == "!!merge":
		return field{}, d.nodeErrorf(key, "%s: merge keys (<<) are not supported; write the fields out", label(path))
	case len(names) == 0:
		return field{}, d.nodeErrorf(key, "%s: unknown field %s; it has no fields", label(path), shorten(key.Value))
	}
	return field{}, d.nodeErrorf(key, "%s: unknown field %s%s (fields: %s)",
		label(path), shorten(key.Value), didYouMean(key.Value, names), strings.Join(names, ", "))
}

// label names a place in messages.
func label(path string) string {
	if path == "" {
		return "top level"
	}
	return path
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// describeNode says what a node is, for "expected x, got y".
func describeNode(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a block of fields"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.Tag {
	case "!!null":
		return "nothing"
	case "!!bool", "!!int", "!!float":
		return n.Value
	}
	return "text " + shorten(n.Value)
}
