package dmesg

import (
	"strings"
	"testing"
)

func TestParseCondition(t *testing.T) {
	tests := []struct {
		name, source, macro, condition string
	}{
		{"plain", "\tWARN_ON(BTRFS_I(inode)->csum_bytes);", "WARN_ON", "BTRFS_I(inode)->csum_bytes"},
		{"in an if", "\tif (WARN_ON_ONCE(!page))\n\t\treturn -EIO;", "WARN_ON_ONCE", "!page"},
		{"two lines", "\tWARN_ON(a &&\n\t\tb->c);", "WARN_ON", "a && b->c"},
		{"three lines with message", "\tWARN(!list_empty(&dev->list),\n\t     \"%s: left, %d\\n\",\n\t     name, n);", "WARN", "!list_empty(&dev->list)"},
		{"once with message", "WARN_ONCE(x == ')', \"odd ) (\");", "WARN_ONCE", "x == ')'"},
		{"string with brackets", "WARN(strcmp(a, \")(\"), \"b\");", "WARN", "strcmp(a, \")(\")"},
		{"comment inside", "BUG_ON(a /* not ) here */ || b);", "BUG_ON", "a || b"},
		{"line comment", "BUG_ON(a || // why )\n b);", "BUG_ON", "a || b"},
		{"bug without condition", "\tBUG();", "BUG", ""},
		{"page argument", "VM_BUG_ON_PAGE(PageTail(page), page);", "VM_BUG_ON_PAGE", "PageTail(page)"},
		{"vm", "VM_BUG_ON(order > MAX_ORDER);", "VM_BUG_ON", "order > MAX_ORDER"},
		{"assert", "\tASSERT(refcount_read(&em->refs) == 1);", "ASSERT", "refcount_read(&em->refs) == 1"},
		{"assertion with handle", "J_ASSERT_JH(jh, jh->b_modified == 0);", "J_ASSERT_JH", "jh->b_modified == 0"},
		{"continuation of a macro", "WARN_ON(a || \\\n\tb)", "WARN_ON", "a || b"},
		{"condition in an assignment", "ret = WARN_ON(\n\t\tx\n\t);", "WARN_ON", "x"},
		{"macro on the next line", "if (a &&\n    WARN_ON(b))", "WARN_ON", "b"},
		{"space before bracket", "WARN_ON (x);", "WARN_ON", "x"},
		{"message longer than the lines given", "WARN(x > 1, \"a\"\n\"b\"", "WARN", "x > 1"},
		{"nested", "WARN_ON(WARN_ON(x));", "WARN_ON", "WARN_ON(x)"},
		{"lockdep", "lockdep_assert_held(&inode->lock);", "lockdep_assert_held", "&inode->lock"},
		{"other statement first", "x = 1;\n\tWARN_ON(y);", "", ""},
		{"end of function first", "}\n\nint f(void)\n{\n\tWARN_ON(y);", "", ""},
		{"no macro", "\treturn x;", "", ""},
		{"part of a name", "MY_WARN_ON_X(y);", "", ""},
		{"in a string", "pr_err(\"WARN_ON(x)\");", "", ""},
		{"in a comment", "/* WARN_ON(x) */ foo();", "", ""},
		{"not closed", "WARN_ON(x", "", ""},
		{"wrong bracket", "WARN_ON(x];", "", ""},
		{"empty", "", "", ""},
		{"empty condition", "WARN_ON();", "", ""},
	}
	for _, tt := range tests {
		macro, condition, ok := ParseCondition(strings.Split(tt.source, "\n"))
		if macro != tt.macro || condition != tt.condition || ok != (tt.macro != "") {
			t.Errorf("%s: got %q, %q, %v", tt.name, macro, condition, ok)
		}
	}
}

type fakeSource map[string][]string

func (s fakeSource) SourceLine(file string, line int) ([]string, bool) {
	lines, ok := s[file]
	if !ok || line > len(lines) {
		return nil, false
	}
	return lines[line-1:], true
}

func TestAnnotate(t *testing.T) {
	src := fakeSource{"fs/a.c": {"int f(void) {", "\tWARN_ON_ONCE(x->y &&", "\t\tz);", "}"}}
	reports := []Report{
		{Kind: KindWarning, File: "fs/a.c", Line: 2},
		{Kind: KindWarning, File: "fs/a.c", Line: 4},
		{Kind: KindWarning, File: "fs/b.c", Line: 2},
		{Kind: KindWarning, File: "fs/a.c", Line: 2, Condition: "x->y&&z"},
		{Kind: KindWarning, File: "fs/a.c", Line: 2, Condition: "printed by the kernel"},
	}
	Annotate(reports, src)
	Annotate(reports, nil)
	want := []string{"WARN_ON_ONCE(x->y && z)", "", "", "WARN_ON_ONCE(x->y && z)", "WARN_ON_ONCE(printed by the kernel)"}
	for i, w := range want {
		if got := reports[i].ConditionText(); got != w || reports[i].Once != (w != "") {
			t.Errorf("report %d: %q once %v, want %q", i, got, reports[i].Once, w)
		}
	}
	if reports[0].Fingerprint == reports[4].Fingerprint {
		t.Error("two conditions have one fingerprint")
	}
}

func FuzzParseCondition(f *testing.F) {
	f.Add("WARN_ON(a &&\nb);")
	f.Add("BUG_ON(x[\"(\"] /* ) */);")
	f.Fuzz(func(t *testing.T, source string) {
		macro, condition, ok := ParseCondition(strings.Split(source, "\n"))
		if !ok && (macro != "" || condition != "") {
			t.Errorf("not ok, but %q %q", macro, condition)
		}
		if strings.Contains(condition, "\n") {
			t.Errorf("the condition has lines: %q", condition)
		}
	})
}
