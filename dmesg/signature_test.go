package dmesg

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestSignatureMatch(t *testing.T) {
	r := &Report{Kind: KindWarning, Title: "WARNING in btrfs_destroy_inode", File: "fs/btrfs/inode.c", Line: 8931,
		Function: "btrfs_destroy_inode", HeaderFunction: "btrfs_destroy_inode.cold", Macro: "WARN_ON", Condition: "inode->csum_bytes"}
	bare := *r
	bare.Macro, bare.Condition = "", ""
	tests := []struct {
		name string
		sig  Signature
		r    *Report
		want bool
	}{
		{"kind", Signature{Kind: KindWarning}, r, true},
		{"kind in other case", Signature{Kind: "warning"}, r, true},
		{"other kind", Signature{Kind: KindBug}, r, false},
		{"whole path", Signature{File: "fs/btrfs/inode.c"}, r, true},
		{"end of path", Signature{File: "btrfs/inode.c"}, r, true},
		{"with dot", Signature{File: "./fs/btrfs/inode.c"}, r, true},
		{"not at a boundary", Signature{File: "node.c"}, r, false},
		{"longer path", Signature{File: "linux/fs/btrfs/inode.c"}, r, false},
		{"function", Signature{Function: "btrfs_destroy_inode"}, r, true},
		{"header's function", Signature{Function: "btrfs_destroy_inode.cold"}, r, true},
		{"other function", Signature{Function: "btrfs_destroy"}, r, false},
		{"condition", Signature{Condition: "inode -> csum_bytes"}, r, true},
		{"condition with macro", Signature{Condition: "WARN_ON(inode->csum_bytes)"}, r, true},
		{"other condition", Signature{Condition: "inode->outstanding_extents"}, r, false},
		{"condition not known", Signature{Condition: "inode->outstanding_extents"}, &bare, true},
		{"title", Signature{Title: "in btrfs_"}, r, true},
		{"all", Signature{Kind: KindWarning, File: "inode.c", Function: "btrfs_destroy_inode", Condition: "inode->csum_bytes", Title: "WARNING"}, r, true},
		{"one of all wrong", Signature{Kind: KindWarning, File: "file.c", Function: "btrfs_destroy_inode"}, r, false},
		{"no report", Signature{Kind: KindWarning}, nil, false},
	}
	for _, tt := range tests {
		if got := tt.sig.Match(tt.r); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestSignatureValidate(t *testing.T) {
	tests := []struct {
		sig  Signature
		want string // part of the error, "" for none
	}{
		{Signature{Name: "a", Function: "f"}, ""},
		{Signature{Kind: KindHungTask}, ""},
		{Signature{Kind: "kasan"}, ""},
		{Signature{}, "empty"},
		{Signature{Name: "only a name"}, "empty"},
		{Signature{Kind: "WARN"}, "unknown kind"},
		{Signature{Function: "f g"}, "white space"},
		{Signature{Function: "f+0x10/0x20"}, "bare name"},
		{Signature{Function: "f()"}, "bare name"},
		{Signature{File: "fs/inode.c:12"}, "without line"},
		{Signature{File: "fs/"}, "without line"},
		{Signature{Condition: " \t"}, "white space"},
	}
	for _, tt := range tests {
		err := tt.sig.Validate()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %q", tt.sig, err, tt.want)
		}
	}
}

func TestSeverityText(t *testing.T) {
	for _, s := range []Severity{SeverityLow, SeverityMedium, SeverityHigh} {
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var back Severity
		if err := json.Unmarshal(data, &back); err != nil || back != s {
			t.Errorf("%s became %v, %v", data, back, err)
		}
	}
	if _, err := ParseSeverity("loud"); err == nil {
		t.Error("a severity that does not exist was parsed")
	}
	if _, err := Severity(9).MarshalText(); err == nil {
		t.Error("a severity that does not exist was written")
	}
	if s := Severity(-1).String(); s != "severity(-1)" {
		t.Error(s)
	}
}

func FuzzSignature(f *testing.F) {
	f.Add("WARNING", "fs/inode.c", "f", "a->b", "in f", "fs/inode.c", "f", "a -> b")
	f.Fuzz(func(t *testing.T, kind, file, function, condition, title, rfile, rfunction, rcondition string) {
		s := Signature{Kind: Kind(kind), File: file, Function: function, Condition: condition, Title: title}
		r := &Report{Kind: Kind(kind), File: rfile, Function: rfunction, Condition: rcondition, Title: "x" + title}
		matched := s.Match(r)
		s.Validate()
		if matched && file != "" && !strings.HasSuffix(rfile, strings.TrimLeft(strings.TrimPrefix(file, "./"), "/")) {
			t.Errorf("%q matches file %q", file, rfile)
		}
		if !(Signature{}).Match(r) {
			t.Error("the empty signature does not match")
		}
		same := Signature{Kind: r.Kind, Function: rfunction, Condition: rcondition, Title: r.Title}
		if !same.Match(r) {
			t.Errorf("a report does not match itself: %+v", same)
		}
	})
}
