package workloads

import (
	"embed"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
)

// sources are the files that declare what plans and workloads are made of:
// their comments are the descriptions in the schema.
//
//go:embed plan.go matrix.go matrix_axes.go workload.go phase.go tune.go
var sources embed.FS

// typeComments returns the comments of the structs in sources, by "Type", and
// of their fields, by "Type.Field".
func typeComments() (map[string]string, error) {
	docs := map[string]string{}
	entries, err := sources.ReadDir(".")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		text, err := sources.ReadFile(e.Name())
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(token.NewFileSet(), e.Name(), text, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		for _, d := range file.Decls {
			if decl, ok := d.(*ast.GenDecl); ok {
				addComments(docs, decl)
			}
		}
	}
	return docs, nil
}

func addComments(docs map[string]string, decl *ast.GenDecl) {
	for _, spec := range decl.Specs {
		t, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		docs[t.Name.Name] = oneParagraph(decl.Doc.Text())
		s, ok := t.Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, f := range s.Fields.List {
			text := f.Doc.Text()
			if text == "" {
				text = f.Comment.Text()
			}
			for _, name := range f.Names {
				if text != "" {
					docs[t.Name.Name+"."+name.Name] = oneParagraph(text)
				}
			}
		}
	}
}

func oneParagraph(text string) string { return strings.Join(strings.Fields(text), " ") }
