package workloads

import "gopkg.in/yaml.v3"

// workload returns the document of the workload that a plan's document holds,
// as the plan.yaml in the folder of a campaign does, and any other document as
// it is. So a workload that was run once can be run again without its plan.
func (doc *document) workload() *document {
	if doc.root.Kind != yaml.MappingNode {
		return doc
	}
	var inner *yaml.Node
	for i := 0; i+1 < len(doc.root.Content); i += 2 {
		switch value := follow(doc.root.Content[i+1]); doc.root.Content[i].Value {
		case "phases":
			return doc
		case "workload":
			inner = value
		}
	}
	if inner == nil || inner.Kind != yaml.MappingNode {
		return doc
	}
	return &document{file: doc.file, root: inner}
}
