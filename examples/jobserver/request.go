package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// maxBody is the most that is read of a request's body.
	maxBody = 16 << 10
	// maxName bounds a job's name, in bytes.
	maxName = 200
	// maxKey bounds an idempotency key, in bytes.
	maxKey = 128
	// maxWait is how long a client may have a handler wait.
	maxWait = 30 * time.Second
)

// readTask reads the task of a POST. An error is a *problem that says which field is wrong.
func readTask(w http.ResponseWriter, r *http.Request, shortest, longest time.Duration) (task, error) {
	f, err := readFields(w, r)
	if err != nil {
		return task{}, err
	}
	t := task{Name: f.name.text, Kind: kindSleep}
	if !f.name.given {
		return t, badField("name", "is missing")
	}
	if bad := checkName(t.Name); bad != nil {
		return t, bad
	}
	if !f.delay.given {
		return t, badField("delay", "is missing")
	}
	if t.Delay, err = parseDelay(f.delay.text); err != nil {
		return t, badField("delay", "want a duration such as 1.5s, or a number of seconds, not "+quote(f.delay.text))
	}
	if t.Delay < shortest || t.Delay > longest {
		return t, badField("delay", fmt.Sprintf("want %v to %v", shortest, longest))
	}
	if f.kind.given {
		t.Kind = kind(f.kind.text)
		if !slices.Contains(kinds, t.Kind) {
			return t, badField("kind", fmt.Sprintf("want one of %v, not %s", kinds, quote(f.kind.text)))
		}
	}
	return t, nil
}

// parseDelay reads a duration with its unit, or a decimal number of seconds, as the answers have it.
func parseDelay(text string) (time.Duration, error) {
	// ParseDuration knows neither NaN nor infinity, and refuses what overflows.
	d, err := time.ParseDuration(text)
	if err == nil || strings.ContainsAny(text, "xX_") { // ParseFloat takes more than decimal numbers
		return d, err
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, err
	}
	return time.ParseDuration(strconv.FormatFloat(seconds, 'f', -1, 64) + "s")
}

// maxMarks is how many combining marks a name may have in a row. Languages need no more, and a long run
// is drawn over the lines above and below.
const maxMarks = 4

// checkName refuses what is empty, too long, or not to be seen: control characters would forge lines
// of a log, and those that turn the direction of the text would make a name look like another one.
func checkName(name string) error {
	switch {
	case strings.TrimSpace(name) == "":
		return badField("name", "is empty")
	case len(name) > maxName:
		return badField("name", fmt.Sprintf("want at most %d bytes", maxName))
	case !utf8.ValidString(name):
		return badField("name", "is not UTF-8")
	}
	visible, marks := false, 0
	for _, c := range name {
		switch {
		case unicode.IsMark(c):
			if marks++; marks > maxMarks {
				return badField("name", fmt.Sprintf("has more than %d combining marks in a row", maxMarks))
			}
			continue
		case c == '\u200d': // which joins emojis
		case !unicode.IsPrint(c), unicode.Is(unicode.Other_Default_Ignorable_Code_Point, c): // such as Hangul fillers
			return badField("name", fmt.Sprintf("has the character %U", c))
		default:
			visible = visible || c != ' '
		}
		marks = 0
	}
	if !visible {
		return badField("name", "has no visible character")
	}
	return nil
}

// fields are what a body says of a task, in words.
type fields struct{ name, delay, kind field }

type field struct {
	text  string
	given bool
}

// set takes in a field, each of them at most once and nothing else.
func (f *fields) set(name, text string) error {
	var to *field
	switch name {
	case "name":
		to = &f.name
	case "delay":
		to = &f.delay
	case "kind":
		to = &f.kind
	default:
		return newProblem(http.StatusBadRequest, "no such field: "+quote(name))
	}
	if to.given {
		return newProblem(http.StatusBadRequest, "given twice: "+name)
	}
	*to = field{text, true}
	return nil
}

// readFields reads the body as a form or as JSON.
func readFields(w http.ResponseWriter, r *http.Request) (f fields, err error) {
	read := f.readForm
	switch mediaType(r.Header) {
	case formType:
	case jsonType:
		read = f.readJSON
	default:
		return f, newProblem(http.StatusUnsupportedMediaType,
			"want application/x-www-form-urlencoded or application/json, in UTF-8 and not compressed")
	}
	body, err := readBody(w, r)
	if err != nil {
		return f, err
	}
	err = read(body)
	return f, err
}

const (
	formType = "application/x-www-form-urlencoded"
	jsonType = "application/json"
)

// mediaType returns the type of a body that can be read as it is; "" if there is none, or another
// encoding than UTF-8.
func mediaType(h http.Header) string {
	if e := h["Content-Encoding"]; len(e) > 1 || len(e) == 1 && !strings.EqualFold(e[0], "identity") {
		return ""
	}
	types := h["Content-Type"]
	if len(types) != 1 {
		return ""
	}
	if t := types[0]; t == formType || t == jsonType { // nearly always, and free
		return t
	}
	t, params, err := mime.ParseMediaType(types[0])
	if charset, ok := params["charset"]; err != nil || ok && !strings.EqualFold(charset, "utf-8") {
		return ""
	}
	return t
}

// readBody reads a body of at most maxBody bytes. The server's ReadTimeout bounds how long that takes.
func readBody(w http.ResponseWriter, r *http.Request) (string, error) {
	var body []byte
	var err error
	switch n := r.ContentLength; {
	case n > maxBody: // not a byte is read, so a client that expects 100 Continue gets none
		return "", tooLarge(w)
	case n >= 0: // the server lets no more of it through
		body = make([]byte, n)
		_, err = io.ReadFull(r.Body, body)
	default:
		body, err = io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	}
	if err != nil {
		return "", newProblem(http.StatusBadRequest, "the body could not be read")
	}
	if len(body) > maxBody {
		return "", tooLarge(w)
	}
	return string(body), nil
}

// linger is how long a client whose body is too large may still send, so that it gets to read the answer
// before the connection is closed.
const linger = 500 * time.Millisecond

// tooLarge is the answer to a body that is too large. [http.MaxBytesReader] would do the same, but only if it
// is given the server's own ResponseWriter, and ours is wrapped. Without the two lines here the answer would
// wait for the rest of the body.
func tooLarge(w http.ResponseWriter) error {
	w.Header().Set("Connection", "close")
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(linger))
	return newProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf("want a body of at most %d bytes", maxBody))
}

// readForm reads a form by the rules of [url.ParseQuery], but without its map of slices.
func (f *fields) readForm(body string) error {
	for pair := range strings.SplitSeq(body, "&") {
		if pair == "" {
			continue
		}
		name, text, _ := strings.Cut(pair, "=")
		name, badName := url.QueryUnescape(name)
		text, badText := url.QueryUnescape(text)
		if badName != nil || badText != nil || strings.Contains(pair, ";") {
			return newProblem(http.StatusBadRequest, "the body is no form")
		}
		if err := f.set(name, text); err != nil {
			return err
		}
	}
	return nil
}

// readJSON reads one JSON object. It goes by tokens, since Unmarshal takes the last of two fields
// of one name, and one whose name differs in its case.
func (f *fields) readJSON(body string) error {
	bad := func(detail string) error { return newProblem(http.StatusBadRequest, detail) }
	if !utf8.ValidString(body) { // the decoder would put a replacement character in
		return bad("the body is not UTF-8")
	}
	const want = "want a JSON object with name, delay and kind"
	dec := json.NewDecoder(strings.NewReader(body))
	dec.UseNumber()
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return bad(want)
	}
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return bad(want)
		}
		value, err := dec.Token()
		if err != nil {
			return bad(want)
		}
		text, isText := value.(string)
		if n, ok := value.(json.Number); ok && name == "delay" {
			text, isText = n.String(), true
		}
		if err := f.set(name, text); err != nil {
			return err
		}
		if !isText {
			return badField(name, "want a string")
		}
	}
	if t, err := dec.Token(); err != nil || t != json.Delim('}') {
		return bad(want)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return bad("there is something behind the JSON object")
	}
	return nil
}

// readQuery reads the query, in which only the fields that are named may be.
func readQuery(r *http.Request, names ...string) (map[string]string, error) {
	if r.URL.RawQuery == "" {
		return nil, nil
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, newProblem(http.StatusBadRequest, "the query is malformed")
	}
	fields := make(map[string]string, len(values))
	for name, v := range values {
		if !slices.Contains(names, name) {
			return nil, newProblem(http.StatusBadRequest, "no such field in the query: "+quote(name))
		}
		if len(v) != 1 {
			return nil, newProblem(http.StatusBadRequest, "given twice in the query: "+name)
		}
		fields[name] = v[0]
	}
	return fields, nil
}

// readWait reads how long the client wants the answer to wait for the job's end; 0 if it does not.
func readWait(r *http.Request) (time.Duration, error) {
	query, err := readQuery(r, "wait")
	if err != nil {
		return 0, err
	}
	text, ok := query["wait"]
	if !ok {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > maxWait {
		return 0, badField("wait", fmt.Sprintf("want a duration of 0s to %v, not %s", maxWait, quote(text)))
	}
	return d, nil
}

// readKey reads the field Idempotency-Key; "" if there is none. The key may stand in quotes, as
// draft-ietf-httpapi-idempotency-key-header wants it, or without.
func readKey(h http.Header) (string, error) {
	const field = "Idempotency-Key"
	values := h.Values(field)
	if len(values) == 0 {
		return "", nil
	}
	if len(values) > 1 {
		return "", badField(field, "given twice")
	}
	key := values[0]
	if n := len(key); n >= 2 && key[0] == '"' && key[n-1] == '"' {
		key = key[1 : n-1]
	}
	if key == "" || len(key) > maxKey {
		return "", badField(field, fmt.Sprintf("want 1 to %d characters", maxKey))
	}
	for _, c := range []byte(key) {
		if c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return "", badField(field, "want visible ASCII without quotes and backslashes")
		}
	}
	return key, nil
}

// readNumber reads a number of a path or query: digits alone, without zeros in front.
func readNumber(field, text string, most uint64) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n > most || strconv.FormatUint(n, 10) != text {
		return 0, badField(field, fmt.Sprintf("want a number up to %d, not %s", most, quote(text)))
	}
	return n, nil
}
