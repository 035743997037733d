package site

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"patchproof/results/judge"
)

func samplePoints(n int) []ratePoint {
	var points []ratePoint
	for i := range n {
		k := i % 4
		points = append(points, ratePoint{Label: `<b>"base" & zlib`, Time: time.Date(2026, 11, 1+i, 3, 0, 0, 0, time.UTC), K: k, N: 6,
			Rate: judge.ClopperPearson(k, 6, judge.IntervalLevel), Color: toneColor(k)})
	}
	return points
}

// checkPlot holds what every plot must keep to: well formed, named, in the
// colours of the style sheet, without anything that the policy of the pages
// forbids.
func checkPlot(t *testing.T, svg, label string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("not well formed: %v\n%s", err, svg)
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		for _, a := range e.Attr {
			if a.Name.Local == "style" || strings.HasPrefix(a.Name.Local, "on") {
				t.Errorf("<%s> has a %s attribute", e.Name.Local, a.Name.Local)
			}
			if a.Name.Local == "class" && (strings.HasSuffix(a.Value, "-") || strings.Contains(a.Value, "- ")) {
				t.Errorf("<%s> has a colour that is no role: %q", e.Name.Local, a.Value)
			}
		}
	}
	if !strings.HasPrefix(svg, `<svg class="plot" role="img" aria-label="`+label) {
		t.Errorf("no name for those who cannot see it: %.80s", svg)
	}
	if strings.Contains(svg, "#0") || strings.Contains(svg, "rgb(") {
		t.Error("a colour is fixed")
	}
}

func TestRatesPlot(t *testing.T) {
	svg, err := ratesPlot(samplePoints(5), "rates")
	if err != nil {
		t.Fatal(err)
	}
	checkPlot(t, string(svg), "rates")
	for what, want := range map[string]int{"stroke-bad": 3, "stroke-good": 2, "&lt;b&gt;&#34;base&#34; &amp; zlib": 5, "100%": 1} {
		if got := strings.Count(string(svg), what); got != want {
			t.Errorf("%q is there %d times, want %d", what, got, want)
		}
	}
}

func TestTrendPlot(t *testing.T) {
	points := samplePoints(12)
	points[3].N = 0 // a night without a run
	svg, err := trend(points, "Runs")
	if err != nil {
		t.Fatal(err)
	}
	checkPlot(t, string(svg), "Runs, over 12 nights, with 90% intervals.")
	for what, want := range map[string]int{"stroke-bad": 8, "stroke-good": 3, ">11-01<": 1, ">11-02<": 0} {
		if got := strings.Count(string(svg), what); got != want {
			t.Errorf("%q is there %d times, want %d", what, got, want)
		}
	}
	if one, err := trend(points[:1], "Runs"); one != "" || err != nil {
		t.Errorf("a trend of one night: %q, %v", one, err)
	}
}

func TestShorten(t *testing.T) {
	for in, want := range map[string]string{"short": "short", "0123456789": "0123456789", "0123456789a": "0123…789a"} {
		if got := shorten(in, 10); got != want {
			t.Errorf("shorten(%q) = %q, want %q", in, got, want)
		}
	}
}
