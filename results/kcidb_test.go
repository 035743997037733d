package results

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"patchproof/results/judge"
)

// The rules of kcidb-io's schema 5.0, and where later versions are stricter
// theirs, for the objects that we write: what a property's value must look like.
// A property that is not listed is not allowed.
//
// KernelCI publishes the schema as Python code only, in a package that the
// registries used here do not have. This table is therefore a reading of it and
// not a copy: it was compared, property by property, with kcidb_io/schema/v05_00.py
// (commit 0e7a27d8) and v05_03.py (commit 07cc1885) of github.com/kernelci/kcidb-io.
// Left out, because they are never written: _timestamp, lists of files, URLs,
// git_commit_tags, git_repository_branch_tip, the origin's finish times, a test's
// number and waived, an environment's compatible, categories and misc of issues.
type kcidbRule struct {
	properties map[string]func(v any) string // says what is wrong, or ""
	required   []string
}

func matches(pattern string) func(any) string {
	re := regexp.MustCompile(pattern)
	return func(v any) string {
		if s, ok := v.(string); !ok || !re.MatchString(s) {
			return fmt.Sprintf("%#v does not match %s", v, pattern)
		}
		return ""
	}
}

func number(v any) string {
	if _, ok := v.(float64); !ok {
		return fmt.Sprintf("%#v is no number", v)
	}
	return ""
}

// ordinal is an integer that is not negative.
func ordinal(v any) string {
	if n, ok := v.(float64); !ok || n < 0 || n != math.Trunc(n) {
		return fmt.Sprintf("%#v is no version", v)
	}
	return ""
}

func boolean(v any) string {
	if _, ok := v.(bool); !ok {
		return fmt.Sprintf("%#v is no boolean", v)
	}
	return ""
}

func object(v any) string {
	if _, ok := v.(map[string]any); !ok {
		return fmt.Sprintf("%#v is no object", v)
	}
	return ""
}

func dateTime(v any) string {
	s, _ := v.(string)
	if _, err := time.Parse(time.RFC3339Nano, s); err != nil {
		return err.Error()
	}
	return ""
}

func excerpt(v any) string {
	s, ok := v.(string)
	if !ok || strings.Contains(s, "\x00") || utf8.RuneCountInString(s) > 16384 {
		return fmt.Sprintf("an excerpt of %d characters", utf8.RuneCountInString(s))
	}
	return ""
}

func nested(rule kcidbRule) func(any) string {
	return func(v any) string {
		m, _ := v.(map[string]any)
		return strings.Join(rule.check(m), "; ")
	}
}

var (
	kcidbID     = matches(`^[a-z0-9_]+:.*$`)
	kcidbOrigin = matches(`^[a-z0-9_]+$`)
	noNUL       = matches(`^[^\x00]*$`)
	statusName  = matches(`^(FAIL|ERROR|MISS|PASS|DONE|SKIP)$`)

	kcidbSchema = map[string]kcidbRule{
		"checkouts": {required: []string{"id", "origin"}, properties: map[string]func(any) string{
			"id": kcidbID, "origin": kcidbOrigin, "tree_name": noNUL, "git_repository_url": matches(`^https://.*$`), "git_commit_hash": matches(`^[0-9a-f]{40}$`),
			"git_commit_name": noNUL, "git_commit_message": noNUL, "git_repository_branch": noNUL, "patchset_hash": matches(`^$|^[0-9a-f]{64}$`),
			"message_id": noNUL, "comment": noNUL, "start_time": dateTime, "log_excerpt": excerpt, "valid": boolean, "misc": object}},
		"builds": {required: []string{"checkout_id", "id", "origin"}, properties: map[string]func(any) string{
			"checkout_id": kcidbID, "id": kcidbID, "origin": kcidbOrigin, "comment": noNUL, "start_time": dateTime, "duration": number,
			"architecture": matches(`^[a-z0-9_]*$`), "command": noNUL, "compiler": noNUL, "config_name": noNUL, "log_excerpt": excerpt, "status": statusName, "misc": object}},
		"tests": {required: []string{"build_id", "id", "origin"}, properties: map[string]func(any) string{
			"build_id": kcidbID, "id": kcidbID, "origin": kcidbOrigin,
			"environment": nested(kcidbRule{properties: map[string]func(any) string{"comment": noNUL, "misc": object}}),
			"path":        matches(`^([a-zA-Z0-9_-]+(\.[a-zA-Z0-9_-]+)*)?$`), "comment": noNUL, "log_excerpt": excerpt, "status": statusName,
			"start_time": dateTime, "duration": number, "misc": object}},
		"issues": {required: []string{"id", "version", "origin"}, properties: map[string]func(any) string{
			"id": kcidbID, "version": ordinal, "origin": kcidbOrigin, "report_subject": noNUL, "comment": noNUL,
			"culprit": nested(kcidbRule{properties: map[string]func(any) string{"code": boolean, "tool": boolean, "harness": boolean}})}},
		"incidents": {required: []string{"id", "origin", "issue_id", "issue_version"}, properties: map[string]func(any) string{
			"id": kcidbID, "origin": kcidbOrigin, "issue_id": kcidbID, "issue_version": ordinal, "build_id": kcidbID, "test_id": kcidbID,
			"present": boolean, "comment": noNUL, "misc": object}},
	}
)

func (r kcidbRule) check(m map[string]any) []string {
	var faults []string
	for name, value := range m {
		rule, ok := r.properties[name]
		if !ok {
			faults = append(faults, fmt.Sprintf("property %s is not allowed", name))
		} else if fault := rule(value); fault != "" {
			faults = append(faults, name+": "+fault)
		}
	}
	for _, name := range r.required {
		if m[name] == nil {
			faults = append(faults, fmt.Sprintf("property %s is missing", name))
		}
	}
	return faults
}

// kcidbFaults checks a document: its objects, that IDs are unique, start with
// the object's own origin, and lead somewhere.
func kcidbFaults(data []byte) []string {
	var doc map[string]any
	if err := json.Unmarshal(data, &doc); err != nil {
		return []string{err.Error()}
	}
	version, _ := doc["version"].(map[string]any)
	if version["major"] != float64(5) || version["minor"] != float64(0) || len(version) != 2 {
		return []string{fmt.Sprintf("version %v", doc["version"])}
	}
	var faults []string
	ids := map[string]map[string]bool{}
	for kind := range kcidbSchema {
		ids[kind] = map[string]bool{}
		list, ok := doc[kind].([]any)
		if !ok {
			faults = append(faults, kind+" is no list")
		}
		for _, v := range list {
			m, _ := v.(map[string]any)
			for _, fault := range kcidbSchema[kind].check(m) {
				faults = append(faults, fmt.Sprintf("%s %v: %s", kind, m["id"], fault))
			}
			id, origin := fmt.Sprint(m["id"]), fmt.Sprint(m["origin"])
			if ids[kind][id] || !strings.HasPrefix(id, origin+":") {
				faults = append(faults, fmt.Sprintf("%s %s: there twice, or not of origin %s", kind, id, origin))
			}
			ids[kind][id] = true
		}
	}
	if len(doc) != len(kcidbSchema)+1 {
		faults = append(faults, "more or less than the known lists")
	}
	for kind, links := range map[string]map[string]string{"builds": {"checkout_id": "checkouts"}, "tests": {"build_id": "builds"}, "incidents": {"issue_id": "issues", "test_id": "tests"}} {
		list, _ := doc[kind].([]any)
		for _, v := range list {
			for property, target := range links {
				if m, _ := v.(map[string]any); !ids[target][fmt.Sprint(m[property])] {
					faults = append(faults, fmt.Sprintf("%s %v: %s leads nowhere", kind, m["id"], property))
				}
			}
		}
	}
	return faults
}

func kcidbOf(t *testing.T, r Recorded, origin string) string {
	t.Helper()
	var b bytes.Buffer
	if err := KCIDB(&b, r, origin); err != nil {
		t.Fatal(err)
	}
	if faults := kcidbFaults(b.Bytes()); len(faults) != 0 {
		t.Errorf("%s:\n%s", r.Campaign.ID, strings.Join(faults, "\n"))
	}
	if strings.ContainsAny(b.String(), "\x1b\x00\u202e") {
		t.Errorf("%s: control characters came through", r.Campaign.ID)
	}
	return b.String()
}

const gitProvenance = `{"source":{"kind":"git","path":"/home/user/linux","rev":"v6.1","commit":"830b3c68c1fb1e9176028d02ef86f3cf76aa2476"},
	"patches":[{"sha256":"aa"},{"sha256":"bb"}],"base_config":"allnoconfig","config_sha256":"cc","compiler":"gcc 12.2","elapsed_ns":17308000000,"built":"2026-11-25T20:51:48Z"}`

func TestKCIDBGolden(t *testing.T) {
	verify := sampleVerify()
	verify.Campaign.Post.Provenance = json.RawMessage(gitProvenance)
	for i := range verify.Runs {
		verify.Runs[i].Kernel = verify.Campaign.Pre
		if verify.Runs[i].Side == judge.Post {
			verify.Runs[i].Kernel = verify.Campaign.Post
		}
	}
	golden(t, "kcidb-verify.json", kcidbOf(t, verify, ""))
	golden(t, "kcidb-matrix.json", kcidbOf(t, recordedMatrix(), "my_ci"))
	golden(t, "kcidb-run.json", kcidbOf(t, sampleSingle(), ""))
}

func TestKCIDBStatus(t *testing.T) {
	r := recordedMatrix()
	text := kcidbOf(t, r, "")
	var doc struct{ Tests []struct{ Status, ID string } }
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, test := range doc.Tests {
		got[test.Status]++
	}
	if want := map[string]int{"PASS": 7, "FAIL": 4, "MISS": 2, "SKIP": 1}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("statuses %v, want %v", got, want)
	}
}

// The hash is what "printf 'aa\nbb\n' | sha256sum" prints, as the schema wants it.
func TestKCIDBPatchset(t *testing.T) {
	o := originOf(KernelRecord{Provenance: json.RawMessage(gitProvenance)})
	if got, want := o.patchset(), "329d670e59ead1543a2d36865895972560bc434204c5f4a0c8219005dd312719"; got != want {
		t.Errorf("patchset hash %q, want %q", got, want)
	}
	if o.Source.Commit == "" || originOf(KernelRecord{Provenance: json.RawMessage(`{"source":7}`)}).Source.Commit != "" {
		t.Error("the provenance was not read, or a broken one was")
	}
}

func TestKCIDBBoundsExcerpts(t *testing.T) {
	r := sampleSingle()
	r.Runs[1].Reports[0].Text = strings.Repeat("é", 20000)
	if text := kcidbOf(t, r, ""); !strings.Contains(text, "[cut:") {
		t.Error("a long excerpt was not cut")
	}
}

func TestKCIDBRefuses(t *testing.T) {
	for _, origin := range []string{"My CI", "a:b", "ü"} {
		if err := KCIDB(&bytes.Buffer{}, sampleSingle(), origin); err == nil {
			t.Errorf("origin %q was taken", origin)
		}
	}
	if err := KCIDB(&bytes.Buffer{}, Recorded{Campaign: &Campaign{ID: "b", Kind: KindBisect}}, ""); err == nil {
		t.Error("a bisection was taken")
	}
}

// The check must be able to fail.
func TestKCIDBCheck(t *testing.T) {
	good := kcidbOf(t, sampleSingle(), "")
	for name, change := range map[string][2]string{
		"status":   {`"PASS"`, `"GOOD"`},
		"version":  {`"major": 5`, `"major": 3`},
		"property": {`"path"`, `"route"`},
		"link":     {`"build_id": "patchproof:`, `"build_id": "patchproof:x`},
		"time":     {`"start_time": "`, `"start_time": "on `},
		"origin":   {`"origin": "patchproof"`, `"origin": "PatchProof"`},
		"issue":    {`"issue_version": 1`, `"issue_version": 0.5`},
	} {
		if faults := kcidbFaults([]byte(strings.ReplaceAll(good, change[0], change[1]))); len(faults) == 0 {
			t.Errorf("%s: not noticed", name)
		}
	}
	if !slices.ContainsFunc(kcidbFaults([]byte(`{"version":{"major":5,"minor":0}}`)), func(s string) bool { return strings.Contains(s, "no list") }) {
		t.Error("missing lists: not noticed")
	}
}

func FuzzKCIDB(f *testing.F) {
	f.Add(hostile, hostile, []byte(gitProvenance))
	f.Add("\x00", "é", []byte("{"))
	f.Fuzz(func(t *testing.T, title, text string, provenance []byte) {
		r := sampleSingle()
		rep := &r.Runs[1].Reports[0]
		rep.Title, rep.Text, r.Campaign.Workload, r.Runs[0].Cell = title, text, title, text
		r.Runs[0].Kernel.Provenance, r.Runs[0].Kernel.Label = provenance, title
		r.Runs[2].Reports[0].Fingerprint = text
		kcidbOf(t, r, "")
	})
}
