package site

import (
	"fmt"
	"html/template"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"patchproof/results"
)

// timeSpent is where the time of a campaign's runs went.
type timeSpent struct {
	Parts []results.Spent
	Plot  template.HTML
}

// timeView returns nil when no run has ended.
func timeView(runs []results.Run) (*timeSpent, error) {
	parts := results.TimeSpent(runs)
	if len(parts) == 0 {
		return nil, nil
	}
	svg, err := timePlot(parts)
	return &timeSpent{parts, svg}, err
}

// timePlot draws a bar for each part of a run, the first on top.
func timePlot(parts []results.Spent) (template.HTML, error) {
	p := newPlot()
	p.X.Min, p.Y.Min, p.Y.Max = 0, -0.6, float64(len(parts))-0.4
	p.X.Label.Text = "seconds"
	p.Y.LineStyle.Width, p.Y.Tick.Length = 0, 0
	p.Add(verticals())
	var names plot.ConstantTicks
	values := make(plotter.Values, len(parts))
	label := "Seconds of an average run:"
	for i, part := range parts {
		y := len(parts) - 1 - i
		values[y] = part.Seconds
		names = append(names, plot.Tick{Value: float64(y), Label: shorten(plotText(part.Part), labelRunes)})
		label += fmt.Sprintf(" %s %.1f.", plotText(part.Part), part.Seconds)
	}
	bars, err := plotter.NewBarChart(values, rowHeight*0.6)
	if err != nil {
		return "", fmt.Errorf("draw where time went: %w", err)
	}
	bars.Horizontal, bars.Color, bars.LineStyle.Width = true, good, 0
	p.Add(bars)
	p.Y.Tick.Marker = names
	return render(p, rowHeight*vg.Length(len(parts))+vg.Points(50), label)
}
