package workloads

import (
	"slices"

	"gopkg.in/yaml.v3"
)

// workload returns the document of the workload that a plan's document holds,
// as the plan.yaml in the folder of a campaign does, and any other document as
// it is. The plan's variables become the workload's. So a workload that was run
// once, or tuned, can be run again without its plan.
func (doc *document) workload() *document {
	if doc.root.Kind != yaml.MappingNode {
		return doc
	}
	var inner, name, variables *yaml.Node
	for i := 0; i+1 < len(doc.root.Content); i += 2 {
		switch value := follow(doc.root.Content[i+1]); doc.root.Content[i].Value {
		case "phases":
			return doc
		case "workload":
			inner = value
		case "variables":
			name, variables = doc.root.Content[i], value
		}
	}
	if inner == nil || inner.Kind != yaml.MappingNode {
		return doc
	}
	for i := 0; i < len(inner.Content); i += 2 {
		if inner.Content[i].Value == "variables" {
			variables = nil // it has its own
		}
	}
	if variables != nil {
		with := *inner
		with.Content = append(slices.Clone(inner.Content), name, variables)
		inner = &with
	}
	return &document{file: doc.file, root: inner}
}
