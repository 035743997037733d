package orchestrator

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"time"

	"patchproof/dmesg"
	"patchproof/results"
)

// Notice is the document that a notification carries. docs/nightly.md describes
// it.
type Notice struct {
	Matrix   string                    `json:"matrix"`
	Verdict  MatrixVerdict             `json:"verdict"`
	Summary  string                    `json:"summary"`
	Campaign string                    `json:"campaign"` // ID
	Folder   string                    `json:"folder"`
	Shard    string                    `json:"shard,omitempty"`
	Site     string                    `json:"site,omitempty"` // path of its first page
	Started  time.Time                 `json:"started"`
	Elapsed  float64                   `json:"elapsed_seconds"`
	Counts   map[results.CellState]int `json:"counts"`
	New      []NewFailure              `json:"new"`
	Fixed    []string                  `json:"fixed"`
	Cells    []NoticeCell              `json:"cells"`
}

// NoticeCell is one cell in a notification.
type NoticeCell struct {
	Key        string            `json:"key"`
	State      results.CellState `json:"state"`
	Kernel     string            `json:"kernel,omitempty"` // release
	Commit     string            `json:"commit,omitempty"`
	Runs       int               `json:"runs"`
	Reproduced int               `json:"reproduced"`
	RateLow    float64           `json:"rate_low"`
	RateHigh   float64           `json:"rate_high"`
	Skipped    string            `json:"skipped,omitempty"`
	Reports    []string          `json:"reports,omitempty"` // titles
}

// Notice makes the document. Text from guests has passed dmesg.Sanitize.
func (r *MatrixResult) Notice(on FailOn, site string) Notice {
	c := &r.Campaign
	n := Notice{Matrix: c.Matrix.Name, Verdict: r.Verdict(on), Summary: r.Line(), Campaign: c.ID, Folder: c.Dir, Shard: c.Matrix.Shard,
		Site: site, Started: c.Started, Elapsed: c.ElapsedSeconds, Counts: map[results.CellState]int{},
		New: append([]NewFailure{}, r.New...), Fixed: append([]string{}, r.Fixed...), Cells: []NoticeCell{}}
	for i := range n.New {
		n.New[i].Report = dmesg.Sanitize(n.New[i].Report)
	}
	for _, cell := range r.Cells {
		n.Counts[cell.State]++
		out := NoticeCell{Key: cell.Cell.Key, State: cell.State, Kernel: cell.Cell.Kernel.Release, Commit: cell.Cell.Commit,
			Runs: cell.Counts.Valid(), Reproduced: cell.Counts.Reproduced, RateLow: cell.Rate.Low, RateHigh: cell.Rate.High,
			Skipped: dmesg.Sanitize(cell.Cell.Skipped)}
		for _, rep := range cell.Reports {
			out.Reports = append(out.Reports, dmesg.Sanitize(rep.Title))
		}
		n.Cells = append(n.Cells, out)
	}
	return n
}

// Limits on those who are told.
const (
	commandLimit = 5 * time.Minute
	webhookLimit = 30 * time.Second
)

// Notify tells a command (a line for sh, which gets the document on standard
// input) and a URL (which gets it as the body of a POST), each unless it is
// empty. The error names who could not be told.
func Notify(ctx context.Context, n Notice, command, url string) error {
	doc, err := json.MarshalIndent(n, "", "  ")
	if err != nil {
		return fmt.Errorf("notification: %w", err)
	}
	doc = append(doc, '\n')
	// Whoever waits for the night to end wants to know that it was stopped, too.
	ctx = context.WithoutCancel(ctx)
	if command != "" {
		if err := notifyCommand(ctx, command, doc); err != nil {
			return err
		}
	}
	if url != "" {
		return notifyURL(ctx, url, doc)
	}
	return nil
}

func notifyCommand(ctx context.Context, command string, doc []byte) error {
	ctx, cancel := context.WithTimeout(ctx, commandLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Stdin = bytes.NewReader(doc)
	// What the command leaves behind in the background must not hold us up.
	cmd.WaitDelay = 5 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("notification command %q: %w: %s", command, err, dmesg.Sanitize(string(bytes.TrimSpace(out))))
	}
	return nil
}

func notifyURL(ctx context.Context, url string, doc []byte) error {
	ctx, cancel := context.WithTimeout(ctx, webhookLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(doc))
	if err != nil {
		return fmt.Errorf("notification: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("notification: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err == nil && resp.StatusCode >= 300 {
		err = fmt.Errorf("%s: %s", resp.Status, dmesg.Sanitize(string(bytes.TrimSpace(text))))
	}
	if err != nil {
		return fmt.Errorf("notification to %s: %w", url, err)
	}
	return nil
}
