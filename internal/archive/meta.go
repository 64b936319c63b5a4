package archive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"time"
	"unicode/utf8"

	"github.com/weirlog/weir/internal/record"
)

// meta is the content of meta.json.
type meta struct {
	Version int               `json:"version"`
	ID      string            `json:"id"`
	Source  string            `json:"source"`
	Labels  map[string]string `json:"labels"`
	// IDBytes and LabelBytes, names and values one after the other, are what the two say where
	// that is not UTF-8, which JSON cannot: names of files may be anything.
	IDBytes    []byte   `json:"id_base64,omitempty"`
	LabelBytes [][]byte `json:"labels_base64,omitempty"`
	Size       int64    `json:"keep_bytes,omitempty"`
	Age        string   `json:"keep_age,omitempty"`
	// Log is the identity of the commit log when this was last synced, and Generation its
	// generation; 0 if it never was.
	Log        string `json:"log,omitempty"`
	Generation uint64 `json:"generation,omitempty"`
	// Next is the number behind the last record that the stream had before it was forgotten
	// for having no text; 0 if it never was.
	Next uint64 `json:"next,omitempty"`
	// Sum is the CRC-32C of all that stands before its key, in hexadecimal. It is the last.
	Sum string `json:"crc32c,omitempty"`
}

const metaVersion = 1

// newMeta returns what says what a stream is.
func newMeta(def record.Stream, keep Bound) meta {
	m := meta{Version: metaVersion, ID: def.ID, Source: def.Source, Labels: map[string]string{}, Size: keep.Size}
	if keep.Age > 0 {
		m.Age = keep.Age.String()
	}
	if !utf8.ValidString(def.ID) {
		m.IDBytes = []byte(def.ID)
	}
	exact := true
	for _, l := range def.Labels {
		m.Labels[l.Name] = l.Value
		exact = exact && utf8.ValidString(l.Name) && utf8.ValidString(l.Value)
	}
	for _, l := range def.Labels {
		if !exact {
			m.LabelBytes = append(m.LabelBytes, []byte(l.Name), []byte(l.Value))
		}
	}
	return m
}

// stream returns what the stream is.
func (m *meta) stream() record.Stream {
	def := record.Stream{ID: m.ID, Source: m.Source}
	if len(m.IDBytes) > 0 {
		def.ID = string(m.IDBytes)
	}
	labels := m.Labels
	if len(m.LabelBytes) > 0 {
		labels = make(map[string]string, len(m.LabelBytes)/2)
		for i := 0; i+1 < len(m.LabelBytes); i += 2 {
			labels[string(m.LabelBytes[i])] = string(m.LabelBytes[i+1])
		}
	}
	def.Labels = record.NewLabels(labels)
	return def
}

func (m *meta) bound() Bound {
	age, _ := time.ParseDuration(m.Age)
	return Bound{Size: m.Size, Age: max(age, 0)}
}

// encode returns m as text, with its checksum.
func (m *meta) encode() ([]byte, error) {
	m.Sum = "" // it is put behind what it is of
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("describe %s: %w", m.ID, err)
	}
	text = append(bytes.TrimSuffix(text, []byte("\n}")), ",\n  "...)
	return append(text, metaEnd(text)...), nil
}

// metaEnd is what stands behind the part of meta.json that the checksum is of.
func metaEnd(text []byte) string {
	return fmt.Sprintf("\"crc32c\": \"%08x\"\n}\n", crc32.Checksum(text, castagnoli))
}

// parseMeta returns what meta.json says, with an error too what it seems to say. One from
// before there was a checksum has no keys that are unknown; else damage to a key would go
// unnoticed.
func parseMeta(text []byte) (m meta, err error) {
	if err := json.Unmarshal(text, &m); err != nil {
		return meta{}, err
	}
	if m.Sum == "" {
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		err = d.Decode(new(meta))
	} else if i := bytes.LastIndex(text, []byte(`"crc32c"`)); i < 0 || string(text[i:]) != metaEnd(text[:i]) {
		err = errors.New("its checksum does not match")
	}
	if err == nil && m.Version != metaVersion {
		err = fmt.Errorf("it is of version %d", m.Version)
	}
	return m, err
}
