package index

import (
	"context"
	"errors"
	"testing"

	"patchproof/results"
)

func TestCompare(t *testing.T) {
	dir := threeNights(t)
	x := openIndex(t, dir)
	c, err := x.Compare(context.Background(), []string{"aaaaaa", "bbbbbb"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Before) != 1 || c.Before[0] != first || c.After != second || c.Count(results.ChangeStill) != 1 || c.Count(results.ChangeFlaky) != 1 {
		t.Errorf("%+v", c)
	}
	// In the third night the bug is gone, with another kernel: four runs of four
	// are too few. Once that kernel has shown it, it is flaky.
	if c, err = x.Compare(context.Background(), []string{first, second, third}, 0); err != nil || c.Count(results.ChangeFlaky) != 0 || c.Count(results.ChangeUnknown) != 2 {
		t.Errorf("%+v, %v", c, err)
	}
	writeNight(t, dir, night{id: "20261120T190000Z-nightly-000000", days: -5, sha: "k2", cells: map[string]string{"compress=zlib": "rc"}})
	refresh(t, x)
	if c, err = x.Compare(context.Background(), []string{first, second, third}, 0); err != nil || c.Count(results.ChangeFlaky) != 1 || c.Count(results.ChangeUnknown) != 1 {
		t.Errorf("with history: %+v, %v", c, err)
	}
	for _, refs := range [][]string{{first}, {first, "2026"}, {first, "nothing"}} {
		if _, err := x.Compare(context.Background(), refs, 0); err == nil {
			t.Errorf("%v: no error", refs)
		}
	}
	var e *RefError
	if _, err := x.Compare(context.Background(), []string{first, "nothing"}, 0); !errors.As(err, &e) {
		t.Errorf("%v is no RefError", err)
	}
}
