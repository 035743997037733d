package kernels

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"mime/quotedprintable"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	inodeDiff = `diff --git a/fs/btrfs/inode.c b/fs/btrfs/inode.c
index 1111111..2222222 100644
--- a/fs/btrfs/inode.c
+++ b/fs/btrfs/inode.c
@@ -3,5 +3,5 @@
 int a;
 int b;
-int c;
+int fixed;
 int d;
 int e;
`
	fileDiff = `diff --git a/fs/btrfs/file.c b/fs/btrfs/file.c
index 3333333..4444444 100644
--- a/fs/btrfs/file.c
+++ b/fs/btrfs/file.c
@@ -1,4 +1,4 @@
 #include <linux/btrfs.h>
 int file_a;
-int file_b;
+int patched;
 int file_c;
`
)

// mailOf is a message as git format-patch and b4 write it.
func mailOf(from, subject, headers, body string) string {
	return from + "\nFrom: A Hacker <a@example.org>\nDate: Mon, 3 Feb 2014 12:00:00 +0000\nSubject: " + subject + "\n" + headers + "\n" + body
}

func gitMail(subject, diff string) string {
	return mailOf("From 376cc685cb3b43a6509de0b6a343c4079f23c239 Mon Sep 17 00:00:00 2001", subject, "",
		"Some words about it.\n\nFrom now on it works.\n\nSigned-off-by: A Hacker <a@example.org>\n---\n fs/btrfs/inode.c | 2 +-\n 1 file changed, 1 insertion(+), 1 deletion(-)\n\n"+diff+"-- \n2.39.5\n\n")
}

// patchForms are the forms in which the same two changes can arrive.
func patchForms(t testing.TB) map[string]string {
	var qp bytes.Buffer
	w := quotedprintable.NewWriter(&qp)
	if _, err := w.Write([]byte("Text.\n---\n" + inodeDiff + fileDiff)); err != nil {
		t.Fatal(err)
	}
	w.Close()
	b64 := base64.StdEncoding.EncodeToString([]byte("Text.\n---\n" + inodeDiff + fileDiff))
	var wrapped strings.Builder
	for len(b64) > 76 {
		fmt.Fprintln(&wrapped, b64[:76])
		b64 = b64[76:]
	}
	fmt.Fprintln(&wrapped, b64)
	const b4 = "From git@z Thu Jan  1 00:00:00 1970"
	return map[string]string{
		"git diff":        inodeDiff + fileDiff,
		"diff with words": "commit 123\nAuthor: someone\n\n    words: more\n\n" + inodeDiff + fileDiff,
		"diff -u":         strings.ReplaceAll(strings.ReplaceAll(dropLines(inodeDiff+fileDiff, "diff --git", "index"), "--- a/", "--- linux-6.1.orig/"), "+++ b/", "+++ linux-6.1/"),
		"format-patch":    gitMail("[PATCH] btrfs: fix", inodeDiff+fileDiff),
		"b4 mbox": mailOf(b4, "[PATCH v2 1/2] btrfs: one", "Message-Id: <1@x>\n", "Text\n---\n"+inodeDiff+"-- \n2.1\n\n") +
			mailOf(b4, "[PATCH v2 2/2] btrfs: two", "Message-Id: <2@x>\n", "Text\n---\n"+fileDiff+"-- \n2.1\n\n"),
		"thread out of order, with cover letter and reply": mailOf(b4, "[PATCH v2 2/2] btrfs: two", "", "Text\n---\n"+fileDiff+"-- \n2.1\n\n") +
			mailOf(b4, "[PATCH v2 0/2] btrfs: cover", "", "Two patches.\n\n") +
			mailOf(b4, "Re: [PATCH v2 2/2] btrfs: two", "", "> quoted\n"+strings.ReplaceAll(fileDiff, "patched", "other")+"\n\n") +
			mailOf(b4, "[PATCH v2 1/2] btrfs: one", "", "Text\n---\n"+inodeDiff+"-- \n2.1\n\n"),
		"quoted-printable": mailOf(b4, "[PATCH] qp", "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n", qp.String()),
		"base64":           mailOf(b4, "[PATCH] b64", "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n", wrapped.String()),
		"attachment": mailOf(b4, "[PATCH] attached", "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=XX\n",
			"--XX\nContent-Type: text/plain\n\nSee below.\n--XX\nContent-Type: text/x-patch\nContent-Disposition: attachment\n\n"+inodeDiff+fileDiff+"--XX--\n"),
		"crlf mail": strings.ReplaceAll(gitMail("[PATCH] crlf", inodeDiff+fileDiff), "\n", "\r\n"),
		"bare mail": strings.TrimPrefix(gitMail("[PATCH] bare", inodeDiff+fileDiff), "From 376cc685cb3b43a6509de0b6a343c4079f23c239 Mon Sep 17 00:00:00 2001\n"),
	}
}

func dropLines(s string, prefixes ...string) string {
	var out []string
next:
	for _, line := range strings.SplitAfter(s, "\n") {
		for _, p := range prefixes {
			if strings.HasPrefix(line, p) {
				continue next
			}
		}
		out = append(out, line)
	}
	return strings.Join(out, "")
}

func TestPatchFilesInAllForms(t *testing.T) {
	t.Parallel()
	for name, text := range patchForms(t) {
		path := filepath.Join(t.TempDir(), "p.mbox")
		put(t, path, text)
		files, err := PatchFiles([]string{path})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if want := []string{"fs/btrfs/file.c", "fs/btrfs/inode.c"}; !slices.Equal(files, want) {
			t.Errorf("%s: files %q, want %q", name, files, want)
		}
	}
}

func TestPatchesApplyInAllForms(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	tree := fakeTree(t)
	for name, text := range patchForms(t) {
		path := filepath.Join(t.TempDir(), "p.mbox")
		put(t, path, text)
		series, err := readSeries([]string{path})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := s.renderSeries(t.Context(), plainTree(tree), "fake", series)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !bytes.Contains(got["fs/btrfs/inode.c"].data, []byte("int fixed;")) || !bytes.Contains(got["fs/btrfs/file.c"].data, []byte("int patched;")) {
			t.Errorf("%s: not applied: %s", name, got["fs/btrfs/file.c"].data)
		}
	}
}

func TestPatchSubjects(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "p.mbox")
	put(t, path, patchForms(t)["thread out of order, with cover letter and reply"])
	p, err := readPatch(path)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"[PATCH v2 1/2] btrfs: one", "[PATCH v2 2/2] btrfs: two"}
	if got := p.info().Subjects; !slices.Equal(got, want) {
		t.Errorf("subjects %q, want %q", got, want)
	}
}

func TestBadPatches(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, text, want string }{
		{"empty", "", "contains no diff"},
		{"words", "hello\n", "contains no diff"},
		{"cover letter", gitMail("[PATCH 0/1] cover", ""), "contains no diff"},
		{"cut short", inodeDiff[:len(inodeDiff)-20], "cannot be read"},
		{"above the tree", strings.ReplaceAll(inodeDiff, "fs/btrfs/inode.c", "../../etc/passwd"), "outside the tree"},
		{"git folder", strings.ReplaceAll(inodeDiff, "fs/btrfs/inode.c", ".git/config"), "outside the tree"},
	} {
		path := filepath.Join(t.TempDir(), "bad.patch")
		put(t, path, tc.text)
		_, err := PatchFiles([]string{path})
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}

func TestApplyInsideAnotherRepository(t *testing.T) {
	t.Parallel()
	// The cache may lie in a folder that some repository tracks; git apply then
	// silently skips files that are outside of its current folder.
	repo := t.TempDir()
	sh(t, repo, "git", "init", "-q")
	s, err := OpenStore(filepath.Join(repo, "cache"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "p.patch")
	put(t, path, inodeDiff)
	series, err := readSeries([]string{path})
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.renderSeries(t.Context(), plainTree(fakeTree(t)), "fake", series)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(got["fs/btrfs/inode.c"].data, []byte("int fixed;")) {
		t.Error("the patch was skipped")
	}
}

func FuzzParsePatch(f *testing.F) {
	for _, text := range patchForms(f) {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		diffs, err := parsePatch(data)
		if err != nil {
			return
		}
		if len(diffs) == 0 {
			t.Error("no diffs and no error")
		}
		for _, d := range diffs {
			for _, name := range d.touched() {
				if !safeName(name) {
					t.Errorf("unsafe name %q", name)
				}
			}
		}
	})
}
