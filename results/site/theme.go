package site

import (
	"encoding/xml"
	"errors"
	"fmt"
	"html/template"
	"image/color"
	"io"
	"strings"

	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/font/liberation"
)

// Plots are drawn in these colours, which stand for roles: theme replaces each
// by a class of the style sheet, so that a plot follows light and dark mode.
// None is plain black, which the SVG canvas leaves out as the default.
var (
	ink   = color.RGBA{1, 0, 0, 255} // text and axes
	faint = color.RGBA{2, 0, 0, 255} // grid lines
	bad   = color.RGBA{3, 0, 0, 255}
	good  = color.RGBA{4, 0, 0, 255}
)

var roles = map[string]string{
	"#010000": "ink", "#020000": "faint", "#030000": "bad", "#040000": "good",
}

// styleAttributes are the properties of the canvas' style attributes that are
// kept, as attributes: the Content-Security-Policy of the pages allows no style
// attributes. Fonts come from the style sheet.
var styleAttributes = map[string]bool{
	"stroke-width": true, "stroke-opacity": true, "fill-opacity": true,
	"stroke-dasharray": true, "stroke-dashoffset": true, "font-size": true,
}

// theme turns an SVG document of gonum's canvas into an element for a page:
// roles for colours, no size of its own, label as its name for screen readers.
// All text is set in plotFont.
func theme(svg io.Reader, label string) (template.HTML, error) {
	var out strings.Builder
	face := font.NewCache(liberation.Collection()).Lookup(plotFont, plotFont.Size)
	d := xml.NewDecoder(svg)
	var text *xml.StartElement // its end is not written yet
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return template.HTML(out.String()), nil
		}
		if err != nil {
			return "", fmt.Errorf("theme a plot: %w", err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			if t.Name.Local == "text" {
				copied := t.Copy()
				text = &copied
				continue
			}
			writeElement(&out, t, label)
		case xml.EndElement:
			out.WriteString("</" + t.Name.Local + ">")
		case xml.CharData:
			if text != nil {
				// A browser may have another font: it is to keep the width that
				// the plot was laid out for.
				text.Attr = append(text.Attr, xml.Attr{Name: xml.Name{Local: "textLength"}, Value: fmt.Sprintf("%.4g", face.Width(string(t)).Points())},
					xml.Attr{Name: xml.Name{Local: "lengthAdjust"}, Value: "spacingAndGlyphs"})
				writeElement(&out, *text, label)
				template.HTMLEscape(&out, t)
				text = nil
			}
		}
	}
}

func writeElement(out *strings.Builder, t xml.StartElement, label string) {
	out.WriteString("<" + t.Name.Local)
	put := func(name, value string) {
		fmt.Fprintf(out, ` %s="%s"`, name, template.HTMLEscapeString(value))
	}
	if t.Name.Local == "svg" {
		put("class", "plot")
		put("role", "img")
		put("aria-label", label)
	}
	for _, a := range t.Attr {
		switch {
		case a.Name.Local == "style":
			writeStyle(a.Value, put)
		case a.Name.Space == "xmlns" || a.Name.Local == "xmlns":
			// implied in HTML
		case t.Name.Local == "svg" && (a.Name.Local == "width" || a.Name.Local == "height"):
			// viewBox says the proportions, the style sheet the size
		default:
			put(a.Name.Local, a.Value)
		}
	}
	out.WriteByte('>')
}

func writeStyle(style string, put func(name, value string)) {
	var classes []string
	for _, property := range strings.Split(style, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(property), ":")
		switch {
		case (name == "fill" || name == "stroke") && value == "none":
			put(name, value)
		case name == "fill" || name == "stroke":
			classes = append(classes, name+"-"+roles[strings.ToLower(value)])
		case styleAttributes[name]:
			put(name, value)
		}
	}
	if len(classes) > 0 {
		put("class", strings.Join(classes, " "))
	}
}
