package main

import (
	"bytes"
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
	fields, err := readFields(w, r)
	if err != nil {
		return task{}, err
	}
	t := task{Name: fields["name"], Kind: kindSleep}
	if _, ok := fields["name"]; !ok {
		return t, badField("name", "is missing")
	}
	if bad := checkName(t.Name); bad != nil {
		return t, bad
	}
	text, ok := fields["delay"]
	if !ok {
		return t, badField("delay", "is missing")
	}
	// ParseDuration knows neither NaN nor infinity, and refuses what overflows.
	if t.Delay, err = time.ParseDuration(text); err != nil {
		return t, badField("delay", "want a duration with its unit, such as 1.5s, not "+quote(text))
	}
	if t.Delay < shortest || t.Delay > longest {
		return t, badField("delay", fmt.Sprintf("want %v to %v", shortest, longest))
	}
	if text, ok := fields["kind"]; ok {
		t.Kind = kind(text)
		if !slices.Contains(kinds, t.Kind) {
			return t, badField("kind", fmt.Sprintf("want one of %v, not %s", kinds, quote(text)))
		}
	}
	return t, nil
}

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
	for _, c := range name {
		if !unicode.IsPrint(c) && c != '\u200d' { // which joins emojis
			return badField("name", fmt.Sprintf("has the character %U", c))
		}
	}
	return nil
}

var taskFields = []string{"name", "delay", "kind"}

// readFields reads the body as a form or as JSON, each of taskFields at most once and nothing else.
func readFields(w http.ResponseWriter, r *http.Request) (map[string]string, error) {
	read, err := bodyReader(r.Header)
	if err != nil {
		return nil, err
	}
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	fields, err := read(body)
	if err != nil {
		return nil, err
	}
	for name := range fields {
		if !slices.Contains(taskFields, name) {
			return nil, newProblem(http.StatusBadRequest, "no such field: "+quote(name))
		}
	}
	return fields, nil
}

// bodyReader returns what reads a body of the type that the header tells.
func bodyReader(h http.Header) (func([]byte) (map[string]string, error), error) {
	unsupported := newProblem(http.StatusUnsupportedMediaType,
		"want application/x-www-form-urlencoded or application/json, in UTF-8 and not compressed")
	if e := h.Values("Content-Encoding"); len(e) > 0 && !slices.Equal(e, []string{"identity"}) {
		return nil, unsupported
	}
	if len(h.Values("Content-Type")) != 1 {
		return nil, unsupported
	}
	var mediaType string
	switch text := h.Get("Content-Type"); text {
	case formType, jsonType: // nearly always, and free
		mediaType = text
	default:
		var params map[string]string
		var err error
		mediaType, params, err = mime.ParseMediaType(text)
		charset, ok := params["charset"]
		if err != nil || ok && !strings.EqualFold(charset, "utf-8") {
			return nil, unsupported
		}
	}
	switch mediaType {
	case formType:
		return formFields, nil
	case jsonType:
		return jsonFields, nil
	}
	return nil, unsupported
}

const (
	formType = "application/x-www-form-urlencoded"
	jsonType = "application/json"
)

// readBody reads the body as far as maxBody. The server's ReadTimeout bounds how long that takes.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, newProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf("want a body of at most %d bytes", maxBody))
	}
	if err != nil {
		return nil, newProblem(http.StatusBadRequest, "the body could not be read")
	}
	return body, nil
}

func formFields(body []byte) (map[string]string, error) {
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, newProblem(http.StatusBadRequest, "the body is no form")
	}
	return single(values)
}

// single returns the values of a form or query in which each field occurs once.
func single(values url.Values) (map[string]string, error) {
	fields := make(map[string]string, len(values))
	for name, v := range values {
		if len(v) != 1 {
			return nil, newProblem(http.StatusBadRequest, "given twice: "+quote(name))
		}
		fields[name] = v[0]
	}
	return fields, nil
}

// jsonFields reads one JSON object. It goes by tokens, since Unmarshal takes the last of two fields
// of one name, and one whose name differs in its case.
func jsonFields(body []byte) (map[string]string, error) {
	bad := func(detail string) error { return newProblem(http.StatusBadRequest, detail) }
	if !utf8.Valid(body) { // the decoder would put a replacement character in
		return nil, bad("the body is not UTF-8")
	}
	const want = "want a JSON object with name, delay and kind"
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, bad(want)
	}
	fields := make(map[string]string)
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, bad(want)
		}
		if _, twice := fields[name]; twice {
			return nil, bad("given twice: " + quote(name))
		}
		value, err := dec.Token()
		if err != nil {
			return nil, bad(want)
		}
		switch value := value.(type) {
		case string:
			fields[name] = value
		case json.Number:
			if name != "delay" {
				return nil, badField(name, "want a string")
			}
			fields[name] = value.String() + "s" // as the answer has it, in seconds
		default:
			if slices.Contains(taskFields, name) {
				return nil, badField(name, "want a string")
			}
			return nil, bad("no such field: " + quote(name))
		}
	}
	if t, err := dec.Token(); err != nil || t != json.Delim('}') {
		return nil, bad(want)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, bad("there is something behind the JSON object")
	}
	return fields, nil
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
	for name := range values {
		if !slices.Contains(names, name) {
			return nil, newProblem(http.StatusBadRequest, "no such field in the query: "+quote(name))
		}
	}
	return single(values)
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
