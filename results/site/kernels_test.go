package site

import (
	"fmt"
	"strings"
	"testing"
)

func provenanceText(record string) string {
	var lines []string
	for _, r := range provenance([]byte(record)) {
		lines = append(lines, fmt.Sprintf("%d %s: %s", r.Depth, r.Name, r.Value))
	}
	return strings.Join(lines, "\n")
}

func TestProvenance(t *testing.T) {
	got := provenanceText(`{"source":{"kind":"git","commit":"abc"},"patches":[{"path":"a.patch","files":["x.c","y.c"]}],"compiled":2,"elapsed_ns":17308000000,"perturb":null}`)
	want := "0 source: \n1 kind: git\n1 commit: abc\n0 patches: \n1 1: \n2 path: a.patch\n2 files: \n3 1: x.c\n3 2: y.c\n0 compiled: 2\n0 elapsed ns: 17308000000\n0 perturb: "
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := provenanceText(`{"a":1,"b":{"c"`); !strings.HasPrefix(got, "0 a: 1\n0 b: \n0 the rest: cannot be read") {
		t.Errorf("a torn record: %s", got)
	}
	if n := len(provenance([]byte("[" + strings.Repeat("1,", 5000) + "1]"))); n != provenanceRows {
		t.Errorf("%d lines of a long record, want %d", n, provenanceRows)
	}
	if rows := provenance(nil); rows != nil {
		t.Errorf("no record gives %v", rows)
	}
}

func FuzzProvenance(f *testing.F) {
	f.Add([]byte(`{"a":[1,{"b":null}],"c":"d"}`))
	f.Fuzz(func(t *testing.T, record []byte) {
		if n := len(provenance(record)); n > provenanceRows+1 {
			t.Errorf("%d lines", n)
		}
	})
}
