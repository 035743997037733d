package workloads

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// schema is the part of JSON Schema (draft 2020-12) that plans need.
type schema struct {
	Schema      string `json:"$schema,omitempty"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	Ref         string `json:"$ref,omitempty"`
	// Type is a word or a list of words.
	Type    any      `json:"type,omitempty"`
	Enum    []string `json:"enum,omitempty"`
	Pattern string   `json:"pattern,omitempty"`

	Properties    map[string]*schema `json:"properties,omitempty"`
	Required      []string           `json:"required,omitempty"`
	MinProperties int                `json:"minProperties,omitempty"`
	MaxProperties int                `json:"maxProperties,omitempty"`
	// Additional is false, or a *schema for the values of any other name.
	Additional any       `json:"additionalProperties,omitempty"`
	Items      *schema   `json:"items,omitempty"`
	AnyOf      []*schema `json:"anyOf,omitempty"`
	OneOf      []*schema `json:"oneOf,omitempty"`

	If   *schema            `json:"if,omitempty"`
	Then *schema            `json:"then,omitempty"`
	Else *schema            `json:"else,omitempty"`
	Defs map[string]*schema `json:"$defs,omitempty"`
}

// Schema returns the JSON Schema of plans and workloads, made from the Go types
// of this package and their comments, for editors that complete and check.
// Decoding is stricter: names, references and values that depend on each other
// are not in it.
func Schema() ([]byte, error) {
	docs, err := typeComments()
	if err != nil {
		return nil, fmt.Errorf("comments for the schema: %w", err)
	}
	b := &schemaBuilder{docs: docs, defs: map[string]*schema{}}
	matrix, workload, plan := b.of(reflect.TypeFor[Matrix]()), b.of(reflect.TypeFor[Workload]()), b.of(reflect.TypeFor[Plan]())
	has := func(name string) *schema { return &schema{Required: []string{name}} }
	root := &schema{
		Schema: "https://json-schema.org/draft/2020-12/schema",
		Title:  "a plan or a workload of patchproof",
		Type:   "object",
		If:     &schema{AnyOf: []*schema{has("kernels"), has("workloads"), has("axes")}},
		Then:   matrix,
		Else:   &schema{If: has("phases"), Then: workload, Else: plan},
		Defs:   b.defs,
	}
	data, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	return append(data, '\n'), nil
}

// schemaBuilder turns types into schemas; every struct is a definition.
type schemaBuilder struct {
	docs map[string]string // of "Type" and "Type.Field"
	defs map[string]*schema
}

// variablePattern lets ${name} stand for a value of any type.
const variablePattern = `\$\{[A-Za-z_]`

// choices are the words that a field takes, for completion.
var choices = map[string][]string{
	"Guest.Accel":       {"auto", "kvm", "tcg"},
	"Matrix.Stop":       stopValues,
	"CellRule.Stop":     stopValues,
	"Mkfs.FS":           mkfsFileSystems(),
	"Sysbench.Action":   sysbenchActions,
	"Sysbench.Mode":     sysbenchModes,
	"Sysbench.IOMode":   sysbenchIOModes,
	"Sysbench.RandType": sysbenchRandTypes,
}

// of returns the schema of a type as YAML writes it.
func (b *schemaBuilder) of(t reflect.Type) *schema {
	switch t {
	case reflect.TypeFor[Size]():
		return scalar("string", `^[0-9]+ *([KMGTkmgt](i?[Bb])?|[Bb])?$`, "integer")
	case reflect.TypeFor[Duration]():
		return scalar("string", `^([0-9.]+(ns|us|ms|s|m|h))+$`, "integer")
	case reflect.TypeFor[Share]():
		return scalar("string", `^[0-9.]+(/[0-9.]+)?$`, "number")
	}
	if form := b.form(t); form != nil {
		return form
	}
	switch t.Kind() {
	case reflect.Pointer:
		return b.of(t.Elem())
	case reflect.Slice:
		return &schema{Type: "array", Items: b.of(t.Elem())}
	case reflect.Map: // the variables block
		return &schema{Type: "object", Additional: &schema{Type: append(slices.Clone(anyScalar), "null")}}
	case reflect.Struct:
		return b.structOf(t)
	case reflect.Int:
		return scalar("string", variablePattern, "integer")
	case reflect.Float64:
		return scalar("string", variablePattern, "number")
	case reflect.Bool:
		return scalar("string", variablePattern, "boolean")
	}
	return &schema{Type: "string"}
}

var anyScalar = []string{"string", "number", "boolean"}

// scalar is a value of type plain, or text that fits pattern or has a variable.
func scalar(text, pattern, plain string) *schema {
	if pattern != variablePattern {
		pattern = variablePattern + "|" + pattern
	}
	return &schema{AnyOf: []*schema{{Type: plain}, {Type: text, Pattern: pattern}}}
}

// form is the schema of the types that decode themselves, nil for others.
func (b *schemaBuilder) form(t reflect.Type) *schema {
	one := func() *schema { return &schema{Type: anyScalar} }
	oneOrMore := func() *schema {
		return &schema{AnyOf: []*schema{one(), {Type: "array", Items: one()}}}
	}
	switch t {
	case reflect.TypeFor[List]():
		return oneOrMore()
	case reflect.TypeFor[Settings]():
		return &schema{Type: "object", Additional: one()}
	case reflect.TypeFor[Match]():
		return &schema{Type: "object", MinProperties: 1, Additional: oneOrMore()}
	case reflect.TypeFor[Knobs]():
		return &schema{Type: "object", Additional: oneOrMore()}
	case reflect.TypeFor[WorkloadRef]():
		return &schema{AnyOf: []*schema{{Type: "string"}, b.structOf(reflect.TypeFor[Workload]())}}
	case reflect.TypeFor[MatrixWorkload]():
		return &schema{AnyOf: []*schema{{Type: "string"}, b.structOf(t)}}
	case reflect.TypeFor[Axes]():
		named := &schema{Type: "object", MinProperties: 1, MaxProperties: 1, Additional: oneOrMore()}
		values := func() *schema {
			return &schema{Type: "array", Items: &schema{AnyOf: []*schema{one(), named}}}
		}
		axes := &schema{Type: "object", Properties: map[string]*schema{}, Additional: values()}
		for _, name := range slices.Concat(listAxes, guestAxes) {
			axes.Properties[name] = values()
		}
		return axes
	}
	return nil
}

// structOf defines a struct once and returns a reference to it.
func (b *schemaBuilder) structOf(t reflect.Type) *schema {
	ref := &schema{Ref: "#/$defs/" + t.Name()}
	if _, known := b.defs[t.Name()]; known {
		return ref
	}
	s := &schema{Type: "object", Description: b.docs[t.Name()], Properties: map[string]*schema{}, Additional: false}
	b.defs[t.Name()] = s
	for _, f := range fields(t) {
		s.Properties[f.name] = b.field(t, f)
		if f.required {
			s.Required = append(s.Required, f.name)
		}
	}
	for i := range t.NumField() {
		if f := t.Field(i); f.Tag.Get("spec") == "action" {
			name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			s.OneOf = append(s.OneOf, &schema{Required: []string{name}})
		}
	}
	if len(s.Required)+len(s.OneOf) == 0 {
		s.Type = []string{"object", "null"} // "sync:" with nothing after it
	}
	return ref
}

// field is the schema of one field, with its comment.
func (b *schemaBuilder) field(t reflect.Type, f field) *schema {
	name := fieldName(t, f.index)
	s := *b.of(t.FieldByIndex(f.index).Type)
	if words := choices[name]; words != nil {
		s = schema{AnyOf: []*schema{{Enum: words}, {Type: "string", Pattern: variablePattern}}}
	}
	s.Description = b.docs[name]
	return &s
}

// fieldName is "Type.Field", of the struct that declares the field.
func fieldName(t reflect.Type, index []int) string {
	for ; len(index) > 1; index = index[1:] {
		t = t.Field(index[0]).Type
	}
	return t.Name() + "." + t.Field(index[0]).Name
}
