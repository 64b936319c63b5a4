package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// tokenFile is where an installation that listens on all addresses, such as the container
// image, keeps the token that was made at its first start.
func tokenFile() string { return os.Getenv("WEIR_TOKEN_FILE") }

// readToken returns the made token. Before the first start it is a fresh one that nobody
// knows, so that a configuration can be checked.
func readToken() (string, error) {
	if tokenFile() == "" {
		return "", nil
	}
	text, err := os.ReadFile(tokenFile())
	if errors.Is(err, fs.ErrNotExist) {
		return rand.Text(), nil
	}
	return strings.TrimSpace(string(text)), err
}

// makeToken makes the token at the first start.
func makeToken() error {
	if tokenFile() == "" {
		return nil
	}
	f, err := os.OpenFile(tokenFile(), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("make the token: %w", err)
	}
	_, err = fmt.Fprintln(f, rand.Text())
	return errors.Join(err, f.Sync(), f.Close())
}

func newToken(p *process) *cobra.Command {
	return &cobra.Command{
		Use:   "token",
		Short: "Print the token that was made for this installation",
		Long: `token prints the token that the page and the APIs ask for, where WEIR_TOKEN_FILE names its
file, as in the container image. It is made at the first start.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if tokenFile() == "" {
				return failure(errors.New("WEIR_TOKEN_FILE is not set: the token is what http.token says"))
			}
			text, err := os.ReadFile(tokenFile())
			if err != nil {
				return failure(err)
			}
			if p.output == "json" {
				return p.printJSON(map[string]string{"token": strings.TrimSpace(string(text))})
			}
			_, err = p.out.Write(text)
			return err
		},
	}
}
