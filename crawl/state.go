package crawl

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// stateVersion is of the file of cursors.
const stateVersion = 1

// state is the file of cursors.
type state struct {
	path    string
	Version int                        `json:"version"`
	Cursors map[string]json.RawMessage `json:"cursors"`
}

// openState reads the file, which may not be there yet. One that is damaged, or was written by
// a newer program, is left alone: to begin anew would give all records again.
func openState(path string) (*state, error) {
	s := &state{path: path, Version: stateVersion, Cursors: map[string]json.RawMessage{}}
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s, nil
	case err != nil:
		return nil, fmt.Errorf("crawl: read cursors: %w", err)
	}
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("crawl: %s is damaged: %w; mend it, or remove it to begin anew", path, err)
	}
	if s.Version != stateVersion {
		return nil, fmt.Errorf("crawl: %s has version %d, and this program knows version %d; use the program that wrote it", path, s.Version, stateVersion)
	}
	if s.Cursors == nil {
		s.Cursors = map[string]json.RawMessage{}
	}
	for name, cursor := range s.Cursors { // it stands there over several lines
		var b bytes.Buffer
		if err := json.Compact(&b, cursor); err != nil {
			return nil, fmt.Errorf("crawl: %s is damaged: %w", path, err)
		}
		s.Cursors[name] = b.Bytes()
	}
	return s, nil
}

func (s *state) cursor(stream string) Cursor {
	if text := string(s.Cursors[stream]); text != "null" {
		return Cursor{text}
	}
	return Cursor{}
}

// set keeps a cursor. The file is replaced as a whole, so that it is never half written.
func (s *state) set(stream string, c Cursor) error {
	if c.IsZero() || string(s.Cursors[stream]) == c.text {
		return nil
	}
	s.Cursors[stream] = json.RawMessage(c.text)
	text, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(s.path), filepath.Base(s.path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), s.path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
