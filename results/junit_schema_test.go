package results

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The rules that Jenkins' junit-10.xsd, GitLab's parser and the readers for
// GitHub have in common, as data: what an element may have, in which order.
type xmlRule struct {
	attributes map[string]*regexp.Regexp
	required   []string
	children   []string // in this order
	text       bool
}

var (
	anyText  = regexp.MustCompile(`(?s)^.*$`)
	nonEmpty = regexp.MustCompile(`(?s)^.+$`)
	count    = regexp.MustCompile(`^\d+$`)
	decimal  = regexp.MustCompile(`^\d+\.\d+$`)
	moment   = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$`)

	faultRule = xmlRule{attributes: map[string]*regexp.Regexp{"message": anyText, "type": anyText}, text: true}
	junitXSD  = map[string]xmlRule{
		"testsuites": {attributes: map[string]*regexp.Regexp{"name": anyText, "time": decimal, "tests": count, "failures": count, "errors": count, "disabled": count},
			children: []string{"testsuite"}},
		"testsuite": {attributes: map[string]*regexp.Regexp{"name": nonEmpty, "tests": count, "failures": count, "errors": count, "skipped": count, "disabled": count,
			"time": decimal, "timestamp": moment, "hostname": anyText, "id": anyText, "package": anyText},
			required: []string{"name", "tests"}, children: []string{"properties", "testcase", "system-out", "system-err"}},
		"properties": {children: []string{"property"}},
		"property":   {attributes: map[string]*regexp.Regexp{"name": nonEmpty, "value": anyText}, required: []string{"name", "value"}},
		"testcase": {attributes: map[string]*regexp.Regexp{"name": nonEmpty, "classname": nonEmpty, "time": decimal, "assertions": count, "status": anyText},
			required: []string{"name", "classname"}, children: []string{"skipped", "error", "failure", "system-out", "system-err"}},
		"skipped":    {attributes: map[string]*regexp.Regexp{"message": anyText}, text: true},
		"error":      faultRule,
		"failure":    faultRule,
		"system-out": {text: true},
		"system-err": {text: true},
	}
)

// xmlNode is an element that has been read.
type xmlNode struct {
	name       string
	attributes map[string]string
	children   []*xmlNode
	text       string
}

func parseXML(data []byte) (*xmlNode, error) {
	d := xml.NewDecoder(bytes.NewReader(data))
	root := &xmlNode{}
	stack := []*xmlNode{root}
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		top := stack[len(stack)-1]
		switch token := token.(type) {
		case xml.StartElement:
			n := &xmlNode{name: token.Name.Local, attributes: map[string]string{}}
			for _, a := range token.Attr {
				n.attributes[a.Name.Local] = a.Value
			}
			top.children = append(top.children, n)
			stack = append(stack, n)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			top.text += string(token)
		}
	}
	if len(root.children) != 1 || root.children[0].name != "testsuites" {
		return nil, fmt.Errorf("the document has no single root called testsuites")
	}
	return root.children[0], nil
}

// check appends what is wrong with n and what is in it.
func (n *xmlNode) check(path string, faults *[]string) {
	complain := func(format string, args ...any) {
		*faults = append(*faults, path+n.name+": "+fmt.Sprintf(format, args...))
	}
	rule, ok := junitXSD[n.name]
	if !ok {
		complain("no such element")
		return
	}
	for name, value := range n.attributes {
		if pattern, ok := rule.attributes[name]; !ok {
			complain("attribute %s is not known", name)
		} else if !pattern.MatchString(value) {
			complain("attribute %s is %q", name, value)
		}
	}
	for _, name := range rule.required {
		if _, ok := n.attributes[name]; !ok {
			complain("attribute %s is missing", name)
		}
	}
	if !rule.text && strings.TrimSpace(n.text) != "" {
		complain("text %q where none may be", n.text)
	}
	last := 0
	for _, child := range n.children {
		at := slices.Index(rule.children, child.name)
		if at < last {
			complain("%s is not allowed, or not at this place", child.name)
		}
		last = max(last, at)
		child.check(path+n.name+"/", faults)
	}
	if n.name == "testsuite" {
		n.checkSums(complain)
	}
}

// checkSums checks what no schema says: sums, and names that are unique, since
// GitLab drops cases that have the same.
func (n *xmlNode) checkSums(complain func(string, ...any)) {
	sums, names := map[string]int{}, map[string]bool{}
	for _, c := range n.children {
		if c.name != "testcase" {
			continue
		}
		sums["tests"]++
		if key := c.attributes["classname"] + "\x00" + c.attributes["name"]; names[key] {
			complain("two cases are called %q", c.attributes["name"])
		} else {
			names[key] = true
		}
		results := 0
		for _, r := range c.children {
			if sum := map[string]string{"failure": "failures", "error": "errors", "skipped": "skipped"}[r.name]; sum != "" {
				sums[sum]++
				results++
			}
		}
		if results > 1 {
			complain("case %q has %d results", c.attributes["name"], results)
		}
	}
	for name, want := range map[string]int{"tests": sums["tests"], "failures": sums["failures"], "errors": sums["errors"], "skipped": sums["skipped"]} {
		if got, err := strconv.Atoi(n.attributes[name]); err != nil || got != want {
			complain("%s is %q and there are %d", name, n.attributes[name], want)
		}
	}
}

func junitFaults(data []byte) []string {
	root, err := parseXML(data)
	if err != nil {
		return []string{err.Error()}
	}
	var faults []string
	root.check("", &faults)
	return faults
}

// The check must be able to fail.
func TestJUnitCheck(t *testing.T) {
	const good = `<testsuites name="p" tests="1"><testsuite name="s" tests="1" failures="1" errors="0" skipped="0" time="1.0"><testcase name="a" classname="b"><failure message="m">t</failure><system-out>o</system-out></testcase></testsuite></testsuites>`
	if faults := junitFaults([]byte(good)); len(faults) != 0 {
		t.Fatalf("a good document: %v", faults)
	}
	for name, change := range map[string][2]string{
		"unknown attribute": {`name="a"`, `name="a" colour="red"`},
		"no class":          {` classname="b"`, ``},
		"wrong sum":         {`failures="1"`, `failures="0"`},
		"time":              {`time="1.0"`, `time="1s"`},
		"unknown element":   {`<failure message="m">t</failure>`, `<broken/>`},
		"order":             {`<failure message="m">t</failure><system-out>o</system-out>`, `<system-out>o</system-out><failure message="m">t</failure>`},
		"two results":       {`<failure message="m">t</failure>`, `<error/><failure/>`},
		"stray text":        {`<testcase`, `hello<testcase`},
		"invalid character": {`>t<`, ">\x01<"},
		"not closed":        {`</testsuites>`, ``},
		"root":              {`testsuites`, `suites`},
	} {
		if faults := junitFaults([]byte(strings.ReplaceAll(good, change[0], change[1]))); len(faults) == 0 {
			t.Errorf("%s: not noticed", name)
		}
	}
}
