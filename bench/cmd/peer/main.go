// Command peer counts the statuses in files with one of the peers written in Go, and
// prints them as JSON: `peer scan FILE…` or `peer regexp FILE…`.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/weirlog/weir/bench/peer"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

// run counts the files that args name after the way to count.
func run(args []string, out io.Writer) error {
	if len(args) < 2 {
		return fmt.Errorf("usage: peer scan|regexp FILE…")
	}
	count := peer.Regexp
	if args[0] == "scan" {
		count = peer.Scan
	}
	var counts peer.Counts
	for _, path := range args[1:] {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		err = count(f, &counts)
		f.Close()
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
	}
	return json.NewEncoder(out).Encode(&counts)
}
