package site

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"patchproof/dmesg"
	"patchproof/results"
)

//go:embed templates/*.tmpl assets
var embedded embed.FS

// asset returns one of the files that are the same for every site.
func asset(name string) (File, bool) {
	types := map[string]string{"style.css": typeStyle, "site.js": typeScript}
	if types[name] == "" {
		return File{}, false
	}
	data, err := embedded.ReadFile("assets/" + name)
	return File{Type: types[name], Body: data}, err == nil
}

// state is a verdict, an outcome or a state of a cell, with what shows it
// without colour.
type state struct {
	Name  string
	Tone  string // class: bad, good, unsure, idle
	Glyph string
}

func stateOf(name string) state {
	switch name {
	case "fixed", "passing", "clean", "found", "tuned":
		return state{name, "good", "✓"}
	case "not-fixed", "regressed", "failing", "reproduced":
		return state{name, "bad", "✕"}
	case "other-failure":
		return state{name, "bad", "!"}
	case "invalid", "error", "inconclusive", "not-reproduced", "broken-off", "stopped":
		return state{name, "unsure", "?"}
	case "running", "pending":
		return state{name, "idle", "…"}
	case "":
		return state{"no verdict", "idle", "–"}
	}
	return state{name, "idle", "–"}
}

// link is a name that leads somewhere, or only a name when Href is empty.
type link struct{ Text, Href string }

// fact is a line of a list of facts.
type fact struct {
	Name  string
	Value any // string, link, state or time.Time
}

// page is what every page has.
type page struct {
	Title string
	// Root leads from the page to the site's root: "" or "../../".
	Root   string
	Crumbs []link
	Live   bool
	// Campaign is the ID of the campaign that the page depends on; empty means
	// on all.
	Campaign string
	// Poll asks browsers without scripts to load the page again.
	Poll    bool
	Version string
	Body    any
}

var funcs = template.FuncMap{
	"clean":    dmesg.Sanitize,
	"duration": results.Duration,
	"day":      func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") },
	"iso":      func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"state":    stateOf,
	"size":     sizeText,
	"kindof":   kindOf,
	"sentence": sentence,
}

// kindOf tells templates what a fact's value is.
func kindOf(v any) string {
	switch v.(type) {
	case link:
		return "link"
	case state:
		return "state"
	case time.Time:
		return "time"
	}
	return "text"
}

// templates are parsed once; a mistake in one is found by the first test.
var templates = template.Must(template.New("site").Funcs(funcs).ParseFS(embedded, "templates/*.tmpl"))

// render draws a page with the template that has the given name.
func (s *Site) render(name string, p page) (File, error) {
	p.Live, p.Version = s.o.Live, s.o.Version
	p.Poll = p.Poll && p.Live
	var b bytes.Buffer
	b.Grow(16 << 10)
	if err := templates.ExecuteTemplate(&b, name, p); err != nil {
		return File{}, fmt.Errorf("draw page %q: %w", p.Title, err)
	}
	return File{Type: typeHTML, Body: replaceControls(b.Bytes())}, nil
}

// replaceControls puts U+FFFD in the place of whatever could deceive a reader
// or a program: control and format characters, bidirectional ones included,
// and bytes that are no UTF-8. Values from guests have passed dmesg.Sanitize,
// which knows terminals' sequences; this is the net below, for all values.
func replaceControls(html []byte) []byte {
	if utf8.Valid(html) && bytes.IndexFunc(html, isControl) < 0 {
		return html
	}
	return bytes.Map(func(r rune) rune {
		if isControl(r) {
			return utf8.RuneError
		}
		return r
	}, html)
}

func isControl(r rune) bool {
	if r < 0x7f {
		return r < ' ' && r != '\n' && r != '\t'
	}
	return unicode.Is(unicode.C, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r)
}

// page is the frame of a page within a campaign.
func (c *campaign) page(title string, crumbs ...link) page {
	return page{
		Title: title, Root: "../../", Campaign: c.ID, Poll: c.Running,
		Crumbs: append([]link{{"Campaigns", "../../" + indexName}}, crumbs...),
	}
}

// sizeText is a number of bytes for a reader.
func sizeText(n int64) string {
	switch {
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// cellFile is the name of a cell's page. It is made of the cell's key, so that
// it is the same every night.
func cellFile(key string) string {
	sum := sha256.Sum256([]byte(key))
	return "cell-" + hex.EncodeToString(sum[:6]) + ".html"
}

// campaignHref leads from a campaign's page to another campaign's, when the
// site has it.
func (s *Site) campaignHref(id, file string) string {
	if !s.shows(id) || !campaignID.MatchString(id) {
		return ""
	}
	return "../" + id + "/" + file
}

// sentence puts a capital first and a full stop last.
func sentence(s string) string {
	first, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return ""
	}
	s = string(unicode.ToUpper(first)) + s[n:]
	if !strings.ContainsAny(s[len(s)-1:], ".!?") {
		s += "."
	}
	return s
}
