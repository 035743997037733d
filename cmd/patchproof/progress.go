package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"patchproof/dmesg"
	"patchproof/orchestrator"
)

// progress shows events to a person: bars on a terminal, lines elsewhere.
type progress interface {
	Event(orchestrator.Event)
	Close()
}

func newProgress(w io.Writer, quiet bool) progress {
	if quiet {
		return silent{}
	}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return newBars(f)
	}
	return &lines{w: w, last: map[string]string{}, next: map[string]time.Time{}}
}

type silent struct{}

func (silent) Event(orchestrator.Event) {}
func (silent) Close()                   {}

// lines prints a line when a task changes its stage or ends, and now and then
// while a long stage goes on. The phases of a run are too many for a log: only
// its end is printed.
type lines struct {
	mu   sync.Mutex
	w    io.Writer
	last map[string]string    // stage by task
	next map[string]time.Time // earliest next line of a long stage
}

const lineInterval = 30 * time.Second

func (l *lines) Event(e orchestrator.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !e.Finished && !l.due(e) {
		return
	}
	fmt.Fprintln(l.w, eventLine(e))
}

func (l *lines) due(e orchestrator.Event) bool {
	if e.Run {
		return false
	}
	now := time.Now()
	if l.last[e.Task] == e.Stage && now.Before(l.next[e.Task]) {
		return false
	}
	l.last[e.Task], l.next[e.Task] = e.Stage, now.Add(lineInterval)
	return true
}

func (l *lines) Close() {}

func eventLine(e orchestrator.Event) string {
	var parts []string
	if e.Stage != "" && !e.Finished {
		parts = append(parts, e.Stage)
	}
	if e.Total > 0 && !e.Finished {
		parts = append(parts, fmt.Sprintf("%d/%d", e.Done, e.Total))
	} else if e.Done > 0 && !e.Finished {
		parts = append(parts, fmt.Sprint(e.Done))
	}
	if e.Message != "" {
		parts = append(parts, dmesg.Sanitize(e.Message))
	}
	if e.Finished && e.Elapsed > 0 {
		parts = append(parts, fmt.Sprintf("(%.1f s)", e.Elapsed.Seconds()))
	}
	text := strings.Join(parts, " ")
	if e.Task == "" {
		return text
	}
	return fmt.Sprintf("%-12s %s", e.Task, text)
}

// bars shows a bar for each task that is under way and leaves a line for each
// that has ended.
type bars struct {
	mu   sync.Mutex
	p    *mpb.Progress
	open map[string]*taskBar
}

type taskBar struct {
	mu    sync.Mutex
	event orchestrator.Event
	bar   *mpb.Bar
}

func newBars(w io.Writer) *bars {
	return &bars{
		p:    mpb.New(mpb.WithOutput(w), mpb.WithWidth(24), mpb.WithRefreshRate(200*time.Millisecond)),
		open: map[string]*taskBar{},
	}
}

func (b *bars) Event(e orchestrator.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.open[e.Task]
	if e.Finished {
		if t != nil {
			t.bar.Abort(true)
			t.bar.Wait()
			delete(b.open, e.Task)
		}
		fmt.Fprintln(b.p, eventLine(e))
		return
	}
	if t == nil {
		t = b.add(e)
	}
	t.set(e)
}

func (b *bars) add(e orchestrator.Event) *taskBar {
	t := &taskBar{event: e}
	t.bar = b.p.New(1, mpb.BarStyle().Rbound("]"),
		mpb.PrependDecorators(decor.Any(t.name, decor.WC{W: 13, C: decor.DindentRight})),
		mpb.AppendDecorators(decor.Elapsed(decor.ET_STYLE_GO, decor.WC{W: 7}), decor.Any(t.stage)))
	b.open[e.Task] = t
	return t
}

func (t *taskBar) set(e orchestrator.Event) {
	t.mu.Lock()
	t.event = e
	t.mu.Unlock()
	// A bar whose total is its current value would end itself.
	total := max(int64(e.Total), int64(e.Done)+1)
	t.bar.SetTotal(total, false)
	t.bar.SetCurrent(int64(e.Done))
}

func (t *taskBar) name(decor.Statistics) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.event.Task
}

func (t *taskBar) stage(decor.Statistics) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return " " + t.event.Stage
}

func (b *bars) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range b.open {
		t.bar.Abort(true)
	}
	b.open = map[string]*taskBar{}
	b.p.Wait()
}
