package orchestrator

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"patchproof/results"
)

func sampleNotice() Notice {
	r := &MatrixResult{
		Campaign: results.Campaign{ID: "c", Dir: "/r/c", Matrix: &results.MatrixRecord{Name: "nightly"}},
		Cells: []results.CellResult{
			{Cell: results.CellRecord{Key: "kernel=a"}, State: results.CellFailing, Reports: []results.CellReport{{Title: "BUG in \x1b[2Jf"}}},
			{Cell: results.CellRecord{Key: "kernel=b"}, State: results.CellPassing},
		},
		New: []NewFailure{{Cell: "kernel=a", State: results.CellFailing, Report: "BUG in \x1b[2Jf"}},
	}
	return r.Notice(FailOnNew, "/r/site/index.html")
}

func TestNotifyCommand(t *testing.T) {
	file := filepath.Join(t.TempDir(), "doc.json")
	if err := Notify(t.Context(), sampleNotice(), "cat >"+file, ""); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var n Notice
	if err := json.Unmarshal(data, &n); err != nil {
		t.Fatal(err)
	}
	if n.Matrix != "nightly" || n.Verdict != MatrixFailing || n.Site != "/r/site/index.html" || n.Counts[results.CellPassing] != 1 || len(n.Cells) != 2 || len(n.New) != 1 {
		t.Errorf("%+v", n)
	}
	if strings.Contains(n.New[0].Report+n.Cells[0].Reports[0], "\x1b") {
		t.Error("control characters reach the reader")
	}
	if !strings.Contains(string(data), `"fixed": []`) {
		t.Errorf("an empty list is not written as one:\n%s", data)
	}
	err = Notify(t.Context(), sampleNotice(), "echo no mail; exit 3", "")
	if err == nil || !strings.Contains(err.Error(), "exit status 3: no mail") {
		t.Errorf("a command that fails: %v", err)
	}
}

func TestNotifyURL(t *testing.T) {
	var got Notice
	status := http.StatusNoContent
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %v %v", r.Method, r.Header, err)
		}
		if err := json.Unmarshal(body, &got); err != nil {
			t.Error(err)
		}
		w.WriteHeader(status)
	}))
	defer server.Close()
	if err := Notify(t.Context(), sampleNotice(), "", server.URL); err != nil || got.Campaign != "c" {
		t.Errorf("%v, %+v", err, got)
	}
	status = http.StatusForbidden
	if err := Notify(t.Context(), sampleNotice(), "", server.URL); err == nil || !strings.Contains(err.Error(), "403 Forbidden") {
		t.Errorf("a refusal: %v", err)
	}
	if err := Notify(t.Context(), sampleNotice(), "", "http://[::1"); err == nil {
		t.Error("a URL that is none is no error")
	}
}
