package results

import (
	"errors"
	"sync"
	"testing"
)

func TestRunningAndTakeFolder(t *testing.T) {
	store, err := OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w, err := store.Create(&Campaign{ID: "c"})
	if err != nil {
		t.Fatal(err)
	}
	if !Running(w.Dir()) {
		t.Error("a campaign that is being written is not running")
	}
	if _, err := TakeFolder(w.Dir()); !errors.Is(err, ErrRunning) {
		t.Errorf("taking a running campaign: %v", err)
	}
	again, _, _, err := Reopen(w.Dir())
	if err != nil {
		t.Fatalf("two writers, as a resumed matrix may be: %v", err)
	}
	for _, writer := range []*CampaignWriter{w, again} {
		if err := writer.Close(); err != nil {
			t.Error(err)
		}
	}
	if Running(w.Dir()) || Running(store.Dir()+"/nothing") {
		t.Error("nobody writes, and it is running")
	}
	release, err := TakeFolder(w.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := Reopen(w.Dir()); err == nil {
		t.Error("a campaign that is being removed was opened")
	}
	release()
}

// Who only asks must disturb neither who writes nor who asks at the same time.
func TestRunningDisturbsNobody(t *testing.T) {
	store, err := OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w, err := store.Create(&Campaign{ID: "c"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 50 {
				Running(w.Dir())
			}
		})
	}
	for range 20 {
		again, _, _, err := Reopen(w.Dir())
		if err != nil {
			t.Error(err)
			continue
		}
		again.Close()
	}
	group.Wait()
	if Running(w.Dir()) {
		t.Error("a lock was left")
	}
}
