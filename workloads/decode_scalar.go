package workloads

import (
	"encoding"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// scalar decodes a single value, after filling in its variables.
func (d *decoder) scalar(n *yaml.Node, v reflect.Value, path string) *PositionError {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return d.nodeErrorf(n, "%s: expected %s, got %s", label(path), expectation(v), describeNode(n))
	}
	text, filled, err := d.substitute(n)
	if err != nil {
		return err
	}
	if strings.ContainsFunc(text, func(r rune) bool { return isControl(r) && r != '\n' && r != '\t' }) {
		return d.nodeErrorf(n, "%s: control characters are not allowed, got %s", label(path), shorten(text))
	}
	fail := func() *PositionError {
		got := describeNode(n)
		if filled {
			got = shorten(text) + " (from " + n.Value + ")"
		}
		return d.nodeErrorf(n, "%s: expected %s, got %s", label(path), expectation(v), got)
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if err := u.UnmarshalText([]byte(text)); err != nil {
			return d.nodeErrorf(n, "%s: %v", label(path), err)
		}
		return nil
	}
	// A quoted number is text, unless a variable was put into the quotes,
	// which YAML's own syntax demands in places.
	plain := filled || n.Tag != "!!str"
	switch v.Kind() {
	case reflect.String:
		if n.Tag == "!!bool" {
			return fail()
		}
		v.SetString(text)
	case reflect.Int:
		i, convErr := strconv.Atoi(text)
		if convErr != nil || !plain {
			return fail()
		}
		v.SetInt(int64(i))
	case reflect.Float64:
		f, convErr := strconv.ParseFloat(text, 64)
		if convErr != nil || !plain || f != f {
			return fail()
		}
		v.SetFloat(f)
	case reflect.Bool:
		if text != "true" && text != "false" || !plain {
			return fail()
		}
		v.SetBool(text == "true")
	}
	return nil
}

// word decodes text that must not be empty.
func (d *decoder) word(n *yaml.Node, into *string, path string) *PositionError {
	if err := d.value(n, reflect.ValueOf(into).Elem(), path); err != nil {
		return err
	}
	if *into == "" {
		return d.nodeErrorf(n, "%s: expected a word, got nothing", label(path))
	}
	return nil
}

// expectation says what a scalar of v's type looks like.
func expectation(v reflect.Value) string {
	switch v.Interface().(type) {
	case Size:
		return "a size such as 32KiB or 8GiB"
	case Duration:
		return "a duration such as 90s, 20m or 1h30m"
	case Share:
		return "a share such as 1/4 or 0.25"
	}
	switch v.Kind() {
	case reflect.Int:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Bool:
		return "true or false"
	}
	return "text"
}

// noValue says what to do about a variable that was declared without a value.
const noValue = "variable %q has no value; give it one with --var %s=VALUE"

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

// substitute fills in ${name}; $${ stands for a literal ${. Values are taken
// as they are and not searched for further variables.
func (d *decoder) substitute(n *yaml.Node) (text string, filled bool, err *PositionError) {
	var out strings.Builder
	rest := n.Value
	for {
		before, after, found := strings.Cut(rest, "${")
		out.WriteString(before)
		if !found {
			return out.String(), filled, nil
		}
		if strings.HasSuffix(before, "$") {
			out.WriteString("{")
			rest = after
			continue
		}
		name, tail, closed := strings.Cut(after, "}")
		if !closed || !variableName.MatchString(name) {
			return "", false, d.nodeErrorf(n, "expected ${name} with the name of a variable, got %s; write $${ for a literal ${", shorten("${"+after))
		}
		value, known := d.vars[name]
		switch {
		case d.unset[name]:
			return "", false, d.nodeErrorf(n, noValue, name, name)
		case !known:
			return "", false, d.nodeErrorf(n, "unknown variable %q%s", name, d.variableHint(name))
		}
		d.used[name] = true
		out.WriteString(value)
		filled, rest = true, tail
	}
}

// variableHint ends a message about an unknown variable.
func (d *decoder) variableHint(name string) string {
	names := d.variableNames()
	if len(names) == 0 {
		return "; the file declares no variables"
	}
	if hint := didYouMean(name, names); hint != "" {
		return hint
	}
	return "; the file declares " + strings.Join(names, ", ")
}

func (d *decoder) variableNames() []string {
	var names []string
	for name := range d.vars {
		names = append(names, name)
	}
	for name := range d.unset {
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
