package orchestrator

import "time"

// Event is one step of the harness's work, for a progress display. Events of
// one task come in order; events of several tasks interleave.
type Event struct {
	// Task is what is being worked on: "pre kernel", "guest image", "pre-003".
	Task string
	// Stage is what is being done: "compile", "boot", a phase's name, ...
	Stage string
	// Done of Total steps are done; Total is 0 when the end is not known.
	Done, Total int
	// Message is one line for the reader, without the task's name.
	Message string
	// Run says that the task is a run in a guest, one of many.
	Run bool
	// Finished says that this was the task's last event.
	Finished bool
	// Elapsed is the time since the task began; set when Finished.
	Elapsed time.Duration
}

func (h *Harness) emit(e Event) {
	if h.Events == nil {
		return
	}
	h.eventMu.Lock()
	defer h.eventMu.Unlock()
	h.Events(e)
}

// note emits a line that belongs to no task.
func (h *Harness) note(message string) { h.emit(Event{Message: message, Finished: true}) }
