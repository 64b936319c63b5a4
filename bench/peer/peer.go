// Package peer counts the statuses of a data set in the two ways that frame every other:
// Scan by hand for this one format, which shows the limit, and Regexp with the standard
// library's encoding/json and regexp, which is what a Go program would do first.
//
//	var counts peer.Counts
//	err := peer.Scan(file, &counts)
//
// A Counts belongs to one goroutine.
package peer

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/weirlog/weir/bench/dataset"
)

// Counts are the lines that the pattern fits, by status.
type Counts struct {
	fits [1000]int
}

// MarshalJSON writes the statuses that occur, as dataset.Set has them.
func (c *Counts) MarshalJSON() ([]byte, error) {
	found := map[string]int{}
	for status, n := range c.fits {
		if n > 0 {
			found[strconv.Itoa(status)] = n
		}
	}
	return json.Marshal(found)
}

// Regexp decodes each line's JSON and searches its text for the pattern. A line that is
// not JSON, or longer than 1 MiB, ends it with an error: the data sets have neither.
func Regexp(r io.Reader, counts *Counts) error {
	pattern := regexp.MustCompile(dataset.Pattern)
	status := pattern.SubexpIndex("status")
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var entry struct {
			Log string `json:"log"`
		}
		if err := json.Unmarshal(lines.Bytes(), &entry); err != nil {
			return fmt.Errorf("decode a line: %w", err)
		}
		m := pattern.FindStringSubmatch(strings.TrimSpace(entry.Log))
		if m == nil {
			continue
		}
		if n, err := strconv.Atoi(m[status]); err == nil && n < len(counts.fits) {
			counts.fits[n]++
		}
	}
	return lines.Err()
}
