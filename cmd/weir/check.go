package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirlog/weir/internal/agent"
	"github.com/weirlog/weir/internal/config"
)

func newCheck(p *process) *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Find every mistake in a configuration",
		Long: `check prints every mistake as file:line:col: path: remedy and exits 78. Without one it
says what each rule's parser became and exits 0.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := p.load()
			if err != nil {
				return err
			}
			s, err := agent.Summarize(cfg)
			if err != nil {
				return failure(err)
			}
			if p.output == "json" {
				return p.printJSON(s)
			}
			return p.printSummary(s)
		},
	}
}

func (p *process) printSummary(s agent.Summary) error {
	var b strings.Builder
	if len(s.Files) == 0 {
		b.WriteString("no configuration file: the defaults apply\n")
	} else {
		fmt.Fprintf(&b, "%s: fine\n", strings.Join(s.Files, ", "))
	}
	for _, c := range s.Components {
		fmt.Fprintf(&b, "%-6s %s (%s)", c.Kind, c.Name, c.Type)
		if c.To != "" {
			b.WriteString(" sends the numbers to " + c.To)
		}
		b.WriteByte('\n')
	}
	b.WriteString("keeps  " + s.Journal.Size + " of text")
	if s.Journal.Age != "" {
		b.WriteString(" for " + s.Journal.Age)
	}
	b.WriteString(", as long as " + s.Journal.Free + " of the disk are free\n")
	if h := s.History; h != nil {
		b.WriteString("keeps  numbers every " + h.Interval + " for " + h.Age + " in " + h.Size + "\n")
	}
	for _, r := range s.Rules {
		fmt.Fprintf(&b, "rule   %s for %s\n", r.Name, r.Match)
		if r.Parser != "" {
			fmt.Fprintf(&b, "         parses %s by %s\n", r.Parser, r.Engine)
		}
		if len(r.Redact) > 0 {
			fmt.Fprintf(&b, "         redacts %s\n", strings.Join(r.Redact, ", "))
		}
		for _, m := range r.Metrics {
			fmt.Fprintf(&b, "         counts %s\n", m)
		}
		for _, what := range r.Filter {
			fmt.Fprintf(&b, "         %s\n", what)
		}
		if len(r.Plugins) > 0 {
			fmt.Fprintf(&b, "         asks a plugin: %s\n", strings.Join(r.Plugins, ", then "))
		}
		if r.Keep != "" {
			fmt.Fprintf(&b, "         keeps %s\n", r.Keep)
		}
	}
	_, err := io.WriteString(p.out, b.String())
	return err
}

func newConfig(p *process) *cobra.Command {
	return &cobra.Command{
		Use:   "config",
		Short: "Print the effective configuration, secrets masked",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := p.load()
			if err != nil {
				return err
			}
			text, err := agent.Effective(cfg, p.output == "json")
			if err != nil {
				return failure(err)
			}
			_, err = p.out.Write(text)
			return err
		},
	}
}

func newSchema(p *process) *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the configuration",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			book, err := agent.Reference()
			if err != nil {
				return failure(err)
			}
			if err := book.WriteSchema(p.out); err != nil {
				return failure(err)
			}
			return nil
		},
	}
}

func newHealthcheck(p *process) *cobra.Command {
	return &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask the running weir whether it works; exit 0 if so",
		Long: `healthcheck asks /healthz, for container health checks, and prints what /readyz says. A
source that waits for its engine or a permission does not make weir unhealthy.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := p.load()
			if err != nil {
				return err
			}
			if cfg.HTTP.Listen == "" {
				return failure(fmt.Errorf("http.listen is empty: there is nobody to ask"))
			}
			return p.askHealth(contextOf(cmd.Context()), cfg)
		},
	}
}

// askHealth asks the weir that listens where cfg says.
func (p *process) askHealth(ctx context.Context, cfg agent.Config) error {
	text, status, err := ask(ctx, cfg, "/healthz", cfg.HTTP.MetricsToken)
	if err != nil {
		return failure(err)
	}
	if status != http.StatusOK {
		return failure(fmt.Errorf("unhealthy: %s", strings.TrimSpace(string(text))))
	}
	if text, status, err = ask(ctx, cfg, "/readyz", cfg.HTTP.MetricsToken); err != nil {
		return failure(err)
	}
	if p.output == "json" {
		return p.printJSON(map[string]any{"healthy": true, "ready": status == http.StatusOK, "says": strings.TrimSpace(string(text))})
	}
	_, err = fmt.Fprintln(p.out, strings.TrimSpace(string(text)))
	return err
}

// baseURL returns where the weir of a configuration is asked, on the same machine.
func baseURL(cfg agent.Config) string {
	host, port, err := net.SplitHostPort(cfg.HTTP.Listen)
	if err != nil {
		return "http://" + cfg.HTTP.Listen // which the configuration's check refuses
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// ask gets a path from the weir that listens where cfg says.
func ask(ctx context.Context, cfg agent.Config, path string, token config.Secret) (text []byte, status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, baseURL(cfg)+path, nil)
	if err != nil {
		return nil, 0, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+string(token))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	text, err = io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return text, resp.StatusCode, err
}

func (p *process) printJSON(v any) error {
	enc := json.NewEncoder(p.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return failure(err)
	}
	return nil
}
