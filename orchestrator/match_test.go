package orchestrator

import (
	"testing"

	"gopkg.in/yaml.v3"

	"patchproof/dmesg"
	"patchproof/workloads"
)

func TestMatcher(t *testing.T) {
	m, err := newMatcher(
		[]workloads.Signature{{Name: "leak", Kind: "WARNING", Function: "btrfs_destroy_inode"}},
		[]workloads.Signature{{Name: "left over", Function: "btrfs_free_block_groups"}},
		[]workloads.Benign{{Signature: workloads.Signature{Function: "noisy"}, Reason: "known since 5.4"}},
	)
	if err != nil {
		t.Fatal(err)
	}
	report := func(function string) dmesg.Report {
		return dmesg.Report{Kind: dmesg.KindWarning, Severity: dmesg.SeverityMedium, Function: function}
	}
	for _, tt := range []struct {
		name       string
		functions  []string
		signatures []string
		benign     []string
	}{
		{"the bug", []string{"btrfs_destroy_inode"}, []string{"leak"}, []string{""}},
		{"the bug and its consequence", []string{"btrfs_destroy_inode", "btrfs_free_block_groups"}, []string{"leak", "left over"}, []string{"", ""}},
		{"a consequence before the bug", []string{"btrfs_free_block_groups", "btrfs_destroy_inode"}, []string{"left over", "leak"}, []string{"", ""}},
		{"a consequence alone", []string{"btrfs_free_block_groups"}, []string{""}, []string{""}},
		{"benign", []string{"noisy", "other"}, []string{"", ""}, []string{"known since 5.4", ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var reports []dmesg.Report
			for _, f := range tt.functions {
				reports = append(reports, report(f))
			}
			for i, rec := range m.records(reports, nil) {
				if rec.Signature != tt.signatures[i] || rec.Benign != tt.benign[i] {
					t.Errorf("report in %s: signature %q, benign %q, want %q, %q",
						tt.functions[i], rec.Signature, rec.Benign, tt.signatures[i], tt.benign[i])
				}
				if rec.PhaseName != "boot" || rec.Phase != -1 {
					t.Errorf("a report outside all phases is in %d %q", rec.Phase, rec.PhaseName)
				}
			}
		})
	}
}

func TestMatcherRefusesNonsense(t *testing.T) {
	if _, err := newMatcher([]workloads.Signature{{Kind: "NOSUCHKIND"}}, nil, nil); err == nil {
		t.Error("a signature of an unknown kind was accepted")
	}
	if _, err := newMatcher(nil, nil, []workloads.Benign{{Signature: workloads.Signature{Function: "a b"}}}); err == nil {
		t.Error("a benign entry that can match nothing was accepted")
	}
}

func TestOlder(t *testing.T) {
	for _, tt := range []struct{ a, b, want string }{
		{"3.14.1", "6.1.0-18-amd64", "3.14.1"},
		{"6.12.0", "6.1.192", "6.1.192"},
		{"6.1.2", "strange", "strange"},
		{"strange", "6.1.2", "strange"},
	} {
		if got := older(tt.a, tt.b); got != tt.want {
			t.Errorf("older(%q, %q) = %q, want %q", tt.a, tt.b, got, tt.want)
		}
	}
}

// A workload must refuse what the parser would refuse hours later, and nothing
// else: package workloads has a list of its own.
func TestSignatureRulesAgree(t *testing.T) {
	list := []workloads.Signature{
		{Kind: "WARNNG"}, {Kind: "warning"}, {Kind: "RCU"},
		{Function: "btrfs_destroy_inode"}, {Function: "foo+0x1/0x2"}, {Function: "foo()"}, {Function: "foo bar"},
		{File: "inode.c"}, {File: "fs/btrfs/"}, {File: "inode.c:9144"},
		{Condition: "x > 0"}, {Condition: " \t"}, {Title: " "}, {Name: "only a name"},
	}
	for _, kind := range dmesg.Kinds() {
		list = append(list, workloads.Signature{Kind: string(kind)})
	}
	for _, s := range list {
		data, err := yaml.Marshal(map[string]any{"name": "w", "phases": []any{map[string]any{"sync": nil}}, "signatures": []any{s}})
		if err != nil {
			t.Fatal(err)
		}
		_, here := workloads.LoadWorkload("w.yaml", data)
		there := dmesgSignature(s).Validate()
		if (here == nil) != (there == nil) {
			t.Errorf("%+v: a workload says %v, the parser %v", s, here, there)
		}
	}
}
