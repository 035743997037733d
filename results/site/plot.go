package site

import (
	"bytes"
	"fmt"
	"html/template"
	"image/color"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"patchproof/results/judge"
)

// ratePoint is a rate with its interval, for a plot.
type ratePoint struct {
	Label string    // in a plot of rates side by side
	Time  time.Time // in a plot over time
	K, N  int
	Rate  judge.Interval
	Color color.Color
}

// share is the rate seen, NaN without trials.
func (p *ratePoint) share() float64 {
	if p.N == 0 {
		return math.NaN()
	}
	return float64(p.K) / float64(p.N)
}

// Lengths are in points, which the pages show as pixels.
const (
	plotWidth  = vg.Length(640)
	rowHeight  = vg.Length(20) // of a rate in a plot of rates
	trendSize  = vg.Length(170)
	fontSize   = vg.Length(11)
	dotRadius  = vg.Length(3.5)
	lineWidth  = vg.Length(1.5)
	labelRunes = 60 // of a rate's label
)

var plotFont = font.Font{Typeface: "Liberation", Variant: "Sans", Size: fontSize}

// newPlot returns an empty plot in the colours of roles.
func newPlot() *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	face := plotFont
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.LineStyle.Color, a.Tick.LineStyle.Color = ink, faint
		a.LineStyle.Width, a.Tick.LineStyle.Width = vg.Points(0.75), vg.Points(0.75)
		a.Tick.Label.Color, a.Tick.Label.Font = ink, face
		a.Label.TextStyle.Color, a.Label.TextStyle.Font = ink, face
		a.Padding = 0
	}
	return p
}

func render(p *plot.Plot, height vg.Length, label string) (template.HTML, error) {
	c := vgsvg.New(plotWidth, height)
	p.Draw(draw.Crop(draw.New(c), vg.Points(2), -vg.Points(14), vg.Points(2), -vg.Points(6)))
	var svg bytes.Buffer
	if _, err := c.WriteTo(&svg); err != nil {
		return "", fmt.Errorf("draw a plot: %w", err)
	}
	return theme(&svg, label)
}

// percentTicks marks a rate's axis.
func percentTicks() plot.ConstantTicks {
	var ticks plot.ConstantTicks
	for i := range 5 {
		ticks = append(ticks, plot.Tick{Value: float64(i) / 4, Label: fmt.Sprintf("%d%%", 25*i)})
	}
	return ticks
}

// ratesPlot draws rates side by side, the first on top, each as a dot on the
// line of its interval.
func ratesPlot(points []ratePoint, label string) (template.HTML, error) {
	p := newPlot()
	p.X.Min, p.X.Max = 0, 1
	p.Y.Min, p.Y.Max = 0.4, float64(len(points))+0.6
	p.X.Tick.Marker = percentTicks()
	p.Y.LineStyle.Width, p.Y.Tick.Length = 0, 0
	var names plot.ConstantTicks
	p.Add(verticals())
	for i := range points {
		pt, y := &points[i], float64(len(points)-i)
		names = append(names, plot.Tick{Value: y, Label: shorten(plotText(pt.Label), labelRunes)})
		if err := addRate(p, pt, func(rate float64) plotter.XY { return plotter.XY{X: rate, Y: y} }); err != nil {
			return "", err
		}
	}
	p.Y.Tick.Marker = names
	return render(p, rowHeight*vg.Length(len(points))+vg.Points(34), label)
}

// trendPlot draws a rate over time, the oldest first.
func trendPlot(points []ratePoint, label string) (template.HTML, error) {
	p := newPlot()
	p.Y.Min, p.Y.Max = 0, 1
	p.Y.Tick.Marker = percentTicks()
	first, last := points[0].Time, points[len(points)-1].Time
	pad := math.Max(float64(last.Sub(first))*0.04, float64(6*time.Hour)) / float64(time.Second)
	p.X.Min, p.X.Max = float64(first.Unix())-pad, float64(last.Unix())+pad
	p.X.Tick.Marker = dayTicks(points)
	p.Add(horizontals())
	line, err := plotter.NewLine(trendLine(points))
	if err != nil {
		return "", fmt.Errorf("draw a trend: %w", err)
	}
	line.LineStyle = draw.LineStyle{Color: faint, Width: lineWidth}
	p.Add(line)
	for i := range points {
		pt := &points[i]
		x := float64(pt.Time.Unix())
		if err := addRate(p, pt, func(rate float64) plotter.XY { return plotter.XY{X: x, Y: rate} }); err != nil {
			return "", err
		}
	}
	return render(p, trendSize, label)
}

// addRate adds one rate at the places that at gives for its values.
func addRate(p *plot.Plot, pt *ratePoint, at func(rate float64) plotter.XY) error {
	if pt.N == 0 {
		return nil
	}
	interval, err := plotter.NewLine(plotter.XYs{at(pt.Rate.Low), at(pt.Rate.High)})
	if err != nil {
		return fmt.Errorf("draw a rate: %w", err)
	}
	interval.LineStyle = draw.LineStyle{Color: pt.Color, Width: lineWidth}
	dot, err := plotter.NewScatter(plotter.XYs{at(pt.share())})
	if err != nil {
		return fmt.Errorf("draw a rate: %w", err)
	}
	dot.GlyphStyle = draw.GlyphStyle{Color: pt.Color, Radius: dotRadius, Shape: draw.CircleGlyph{}}
	p.Add(interval, dot)
	return nil
}

func trendLine(points []ratePoint) plotter.XYs {
	var line plotter.XYs
	for i := range points {
		if points[i].N > 0 {
			line = append(line, plotter.XY{X: float64(points[i].Time.Unix()), Y: points[i].share()})
		}
	}
	return line
}

// dayTicks names at most eight days.
func dayTicks(points []ratePoint) plot.ConstantTicks {
	const most = 8
	step := (len(points) + most - 1) / most
	var ticks plot.ConstantTicks
	last := ""
	for i := 0; i < len(points); i += step {
		day := points[i].Time.UTC().Format("01-02")
		if day == last {
			day = ""
		} else {
			last = day
		}
		ticks = append(ticks, plot.Tick{Value: float64(points[i].Time.Unix()), Label: day})
	}
	return ticks
}

func gridLines() *plotter.Grid {
	g := plotter.NewGrid()
	for _, l := range []*draw.LineStyle{&g.Vertical, &g.Horizontal} {
		*l = draw.LineStyle{Color: faint, Width: vg.Points(0.5)}
	}
	return g
}

func verticals() *plotter.Grid {
	g := gridLines()
	g.Horizontal.Color = nil
	return g
}

func horizontals() *plotter.Grid {
	g := gridLines()
	g.Vertical.Color = nil
	return g
}

// plotText makes text fit for a plot: on one line, and of characters that XML
// knows.
func plotText(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case isControl(r) || r == 0xfffe || r == 0xffff:
			return utf8.RuneError
		}
		return r
	}, s)
}

// shorten cuts text in the middle, so that both ends stay.
func shorten(s string, runes int) string {
	r := []rune(s)
	if len(r) <= runes {
		return s
	}
	half := (runes - 1) / 2
	return string(r[:half]) + "…" + string(r[len(r)-half:])
}
