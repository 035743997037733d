package workloads

import (
	"fmt"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

// Standalone is the plan as one YAML document that needs no other file of ours:
// with the workload w, which OpenWorkload has returned, written out in place. Its
// variables stay variables, and the plan gives them the values that they have. The
// guest is the workload's, so that the document can also be named as a workload,
// see WorkloadRef.Open.
func (p *Plan) Standalone(w *Workload) (*yaml.Node, error) {
	body, err := p.workloadNode(w)
	if err != nil {
		return nil, err
	}
	plan := *p
	plan.Workload = WorkloadRef{Name: w.Name} // its place is taken below
	plan.Guest, plan.Tune, plan.Variables = Guest{}, nil, map[string]string{}
	used := usedVariables(body)
	for name, value := range p.Tunable(w) {
		if used[name] {
			plan.Variables[name] = value
		}
	}
	var doc yaml.Node
	if err := doc.Encode(&plan); err != nil {
		return nil, fmt.Errorf("plan %s as YAML: %w", p.Name, err)
	}
	literal(&doc)
	setPair(&doc, "workload", body)
	return &doc, nil
}

// workloadNode is the workload as it was written, without its variables and with
// the guest that it runs in.
func (p *Plan) workloadNode(w *Workload) (*yaml.Node, error) {
	var from *yaml.Node
	switch {
	case p.Workload.Inline != nil && p.doc != nil:
		from = p.doc.workload().root
	case w.doc != nil:
		from = w.doc.root
	default:
		return nil, &PositionError{Message: "workload " + w.Name + " was not loaded from YAML"}
	}
	body := *from
	body.Content = nil
	for i := 0; i+1 < len(from.Content); i += 2 {
		if from.Content[i].Value != "variables" {
			body.Content = append(body.Content, from.Content[i], from.Content[i+1])
		}
	}
	var guest yaml.Node
	if err := guest.Encode(w.Defaults); err != nil {
		return nil, fmt.Errorf("guest of workload %s as YAML: %w", w.Name, err)
	}
	literal(&guest)
	setPair(&body, "guest", &guest)
	return &body, nil
}

// setPair sets the value of a key in a mapping, or adds the pair.
func setPair(mapping *yaml.Node, name string, value *yaml.Node) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == name {
			mapping.Content[i+1] = value
			return
		}
	}
	mapping.Content = append(mapping.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: name}, value)
}

var variableUse = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_-]*)\}`)

// usedVariables are the names that the values below a node refer to, and perhaps
// some that it only quotes.
func usedVariables(n *yaml.Node) map[string]bool {
	used := map[string]bool{}
	walkNodes(n, func(n *yaml.Node) {
		for _, m := range variableUse.FindAllStringSubmatch(n.Value, -1) {
			used[m[1]] = true
		}
	})
	return used
}

// literal keeps what looks like a variable in a value that is filled in, such as
// one of a shell, from being taken for one.
func literal(n *yaml.Node) {
	walkNodes(n, func(n *yaml.Node) {
		if n.Kind == yaml.ScalarNode {
			n.Value = strings.ReplaceAll(n.Value, "${", "$${")
		}
	})
}

// walkNodes visits a node and all below it, those behind aliases included, up to
// the number that a file may have.
func walkNodes(n *yaml.Node, visit func(*yaml.Node)) {
	left := maxNodes
	var walk func(*yaml.Node)
	walk = func(n *yaml.Node) {
		if left--; left < 0 {
			return
		}
		visit(n)
		for _, child := range n.Content {
			walk(follow(child))
		}
	}
	walk(follow(n))
}
