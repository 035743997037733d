package kernels

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// letter is one mail of a patch file, or the whole of a file that is no mail.
type letter struct {
	subject string
	from    string
	body    []byte // decoded, with LF line ends
}

// fromLine is the line that starts a message in an mbox. git format-patch and
// b4 write a made-up date there, but always one with a time and a year.
var fromLine = regexp.MustCompile(`^From \S+ .*\d{1,2}:\d{2}:\d{2}.*\d{4}\s*$`)

var headerLine = regexp.MustCompile(`^[!-9;-~]+:`)

// maxPatchBytes bounds what is read of a patch file and of a decoded mail.
const maxPatchBytes = 64 << 20

// splitLetters splits a patch file into its mails. A file that is not a mail
// gives one letter without subject.
func splitLetters(data []byte) ([]letter, error) {
	if !looksLikeMail(data) {
		// A diff of a file with CR LF has them in the file's own lines only.
		if bytes.Count(data, []byte("\r\n")) == bytes.Count(data, []byte("\n")) {
			data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
		}
		return []letter{{body: data}}, nil
	}
	var letters []letter
	for _, raw := range splitMbox(data) {
		l, err := parseLetter(raw)
		if err != nil {
			return nil, err
		}
		letters = append(letters, l)
	}
	return orderLetters(letters), nil
}

// looksLikeMail tells a mail from a diff, with or without text before it: a
// mail starts with an mbox line, or with headers among which is a subject.
func looksLikeMail(data []byte) bool {
	first, _, _ := bytes.Cut(data, []byte("\n"))
	if fromLine.Match(first) {
		return true
	}
	head := data
	if i := bytes.Index(data, []byte("\n\n")); i >= 0 {
		head = data[:i]
	} else if i := bytes.Index(data, []byte("\r\n\r\n")); i >= 0 {
		head = data[:i]
	}
	subject := false
	for n, line := range strings.Split(string(head), "\n") {
		folded := strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t")
		if !headerLine.MatchString(line) && (n == 0 || !folded) {
			return false
		}
		subject = subject || strings.HasPrefix(strings.ToLower(line), "subject:")
	}
	return subject
}

// splitMbox splits at mbox lines that follow an empty line (or start the file)
// and are followed by a header, so that a quoted "From " in a text is none.
func splitMbox(data []byte) [][]byte {
	var messages [][]byte
	lines := bytes.SplitAfter(data, []byte("\n"))
	start, offset, blank := 0, 0, true
	for n, line := range lines {
		next := n+1 < len(lines) && headerLine.Match(lines[n+1])
		if blank && next && fromLine.Match(bytes.TrimRight(line, "\r\n")) {
			if offset > start {
				messages = append(messages, data[start:offset])
			}
			start = offset + len(line)
		}
		blank = len(bytes.TrimSpace(line)) == 0
		offset += len(line)
	}
	if start < len(data) {
		messages = append(messages, data[start:])
	}
	return messages
}

func parseLetter(raw []byte) (letter, error) {
	msg, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return letter{}, fmt.Errorf("mail with unreadable header: %w", err)
	}
	dec := new(mime.WordDecoder)
	header := func(name string) string {
		v := msg.Header.Get(name)
		if d, err := dec.DecodeHeader(v); err == nil {
			v = d
		}
		return strings.Join(strings.Fields(v), " ")
	}
	l := letter{subject: header("Subject"), from: header("From")}
	body, err := decodeBody(msg.Body, msg.Header.Get("Content-Type"), msg.Header.Get("Content-Transfer-Encoding"), 0)
	if err != nil {
		return letter{}, fmt.Errorf("mail %q: %w", l.subject, err)
	}
	l.body = bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n"))
	return l, nil
}

// decodeBody undoes the transfer encoding and joins the text parts of a
// multipart mail, attached patches among them.
func decodeBody(r io.Reader, contentType, encoding string, depth int) ([]byte, error) {
	media, params, err := mime.ParseMediaType(contentType)
	if err == nil && strings.HasPrefix(media, "multipart/") && params["boundary"] != "" {
		if depth > 8 {
			return nil, errors.New("parts are nested too deeply")
		}
		return decodeParts(multipart.NewReader(r, params["boundary"]), depth)
	}
	if depth > 0 && err == nil && !strings.HasPrefix(media, "text/") && media != "application/octet-stream" {
		return nil, nil // a signature or the like
	}
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "quoted-printable":
		r = quotedprintable.NewReader(r)
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, r)
	}
	body, err := io.ReadAll(io.LimitReader(r, maxPatchBytes))
	if err != nil {
		return nil, fmt.Errorf("body encoded as %s cannot be decoded: %w", encoding, err)
	}
	return body, nil
}

func decodeParts(parts *multipart.Reader, depth int) ([]byte, error) {
	var out []byte
	for {
		part, err := parts.NextRawPart()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("multipart body: %w", err)
		}
		body, err := decodeBody(part, part.Header.Get("Content-Type"), part.Header.Get("Content-Transfer-Encoding"), depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, body...)
		if len(body) > 0 && body[len(body)-1] != '\n' {
			out = append(out, '\n')
		}
	}
}

// seriesNumber finds the position in "[PATCH v2 3/5] subject".
var seriesNumber = regexp.MustCompile(`\[[^\]]*\b(\d+)/(\d+)\]`)

// orderLetters drops replies and puts the mails of one series in the order of
// their numbers: b4 writes them so, but a thread saved from an archive need
// not be sorted.
func orderLetters(letters []letter) []letter {
	if len(letters) < 2 {
		return letters
	}
	var out []letter
	position := map[string]int{}
	numbers := map[int]bool{}
	sortable := true
	for _, l := range letters {
		if strings.HasPrefix(strings.ToLower(l.subject), "re:") {
			continue
		}
		out = append(out, l)
		m := seriesNumber.FindStringSubmatch(l.subject)
		if m == nil {
			sortable = false
			continue
		}
		n, err := strconv.Atoi(m[1])
		if err != nil || numbers[n] {
			sortable = false
			continue
		}
		numbers[n] = true
		position[l.subject] = n
	}
	if sortable {
		sort.SliceStable(out, func(a, b int) bool { return position[out[a].subject] < position[out[b].subject] })
	}
	return out
}
