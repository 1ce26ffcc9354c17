package main

import (
	"crypto/sha256"
	_ "embed" // for the files of the page
	"encoding/hex"
	"net/http"
	"strings"
)

//go:embed page/index.html
var indexHTML []byte

//go:embed page/style.css
var styleCSS []byte

//go:embed page/app.js
var appJS []byte

// pageFiles are the files of the page, by path.
var pageFiles = map[string]*pageFile{
	"/{$}":       newPageFile("text/html; charset=utf-8", indexHTML),
	"/style.css": newPageFile("text/css; charset=utf-8", styleCSS),
	"/app.js":    newPageFile("text/javascript; charset=utf-8", appJS),
}

// pagePolicy lets the page load its own two files and talk to this server. Trusted types keep the
// script from making markup of text even by mistake.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
	"img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'"

// A pageFile is a file that a browser keeps until it changes.
type pageFile struct {
	contentType string
	body        []byte
	etag        string
}

func newPageFile(contentType string, body []byte) *pageFile {
	sum := sha256.Sum256(body)
	return &pageFile{contentType, body, `"` + hex.EncodeToString(sum[:8]) + `"`}
}

func (f *pageFile) serve(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache") // ask whether it has changed
	h.Set("Etag", f.etag)
	if strings.Contains(r.Header.Get("If-None-Match"), f.etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Type", f.contentType)
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(f.body) // a client that is gone needs none
	return nil
}
