package config

import (
	"path/filepath"
	"strconv"
	"strings"
)

// maxInterpolated bounds the text that all interpolations of a tree make together.
const maxInterpolated = 4 << 20

// interpolate returns text with its ${…} replaced; message is not empty where one cannot
// be. secret tells that a file was read which is too short to be masked within other text.
//
// Only "${" begins an interpolation: a lone $, as in `\d+$` or $status, means itself. For a
// literal "${" write "$${": in a run of $ before a {, each pair stands for one $.
func (l *loader) interpolate(text, file string) (out string, secret bool, message string) {
	if !strings.Contains(text, "${") {
		return text, false, ""
	}
	var b strings.Builder
	for {
		brace := strings.Index(text, "${")
		if brace < 0 {
			break
		}
		run := brace
		for run > 0 && text[run-1] == '$' {
			run--
		}
		dollars := brace - run + 1
		b.WriteString(text[:run])
		b.WriteString(strings.Repeat("$", dollars/2))
		text = text[brace+1:]
		if dollars%2 == 0 {
			b.WriteByte('{')
			text = text[1:]
			continue
		}
		inner, rest, closed := strings.Cut(text[1:], "}")
		if !closed {
			return "", secret, "${ is not closed with }; write $${ for a literal ${"
		}
		value, fromFile, message := l.lookup(inner, file)
		if message != "" {
			return "", secret, message
		}
		if l.interpolated += len(value); l.interpolated > maxInterpolated {
			return "", secret, "interpolation makes more than " + formatBytes(maxInterpolated) + " of text"
		}
		secret = secret || fromFile && len(value) < minContained
		b.WriteString(value)
		text = rest
	}
	b.WriteString(text)
	return b.String(), secret, ""
}

// lookup returns the value of what stands between ${ and }.
func (l *loader) lookup(inner, file string) (value string, fromFile bool, message string) {
	if path, ok := strings.CutPrefix(inner, "file:"); ok {
		value, message = l.readSecret(path, file)
		return value, true, message
	}
	name, fallback, hasDefault := strings.Cut(inner, ":-")
	if !isName(name) {
		return "", false, "${" + shorten(inner) + "} is not ${VAR}, ${VAR:-default} or ${file:/path}; write $${ for a literal ${"
	}
	if strings.Contains(fallback, "${") {
		return "", false, "the default in ${" + name + ":-…} cannot contain ${"
	}
	value, ok := "", false
	if l.options.Env != nil {
		value, ok = l.options.Env(name)
	}
	switch {
	case hasDefault && value == "":
		return fallback, false, ""
	case !ok:
		return "", false, "environment variable " + name + " is not set: set it, give a default with ${" + name + ":-…}, or write $${ for a literal ${"
	}
	return value, false, ""
}

// readSecret reads the file of a ${file:…}. A relative path starts at the folder of the
// configuration file.
func (l *loader) readSecret(path, file string) (text, message string) {
	if path == "" {
		return "", "${file:} needs a path"
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(file), path)
	}
	text, known := l.secretFiles[path]
	if !known {
		content, err := l.options.ReadFile(path)
		if err != nil {
			return "", "read " + strconv.Quote(path) + ": " + reason(err)
		}
		if len(content) > maxFileBytes {
			return "", strconv.Quote(path) + " is larger than " + formatBytes(maxFileBytes)
		}
		text = strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
		l.secretFiles[path] = text
		l.vault.add(text)
	}
	return text, ""
}

// isName tells whether name can be that of an environment variable.
func isName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if c != '_' && (c|0x20 < 'a' || c|0x20 > 'z') && (i == 0 || !isDigit(c)) {
			return false
		}
	}
	return name != ""
}
