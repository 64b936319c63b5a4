package agent_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/weirlog/weir/internal/agent"
	"github.com/weirlog/weir/internal/config/reference"
)

const manualHead = `# Configuration

Made from the comments of the code by ` + "`make docs`" + `; ` + "`weir schema`" + ` prints the same as a JSON Schema, which editors can use.

No file is needed: weir then follows the local Docker engine. A file that names sources replaces that. ` + "`-c`" + ` names files or
directories; a ` + "`conf.d`" + ` directory beside a file is read as well. Text may have ` + "`${VAR}`, `${VAR:-default}` and `${file:/run/secrets/x}`" + `,
which are put in after the YAML was read, so they never become structure. Mistakes are all reported at once, with their place.

Where the file is silent these environment variables are honoured, among them those of the tools that weir replaces:

| variable | stands for |
|---|---|
| ` + "`WEIR_CONFIG`" + ` | the configuration files, as ` + "`-c`" + `; several are separated by colons |
| ` + "`MACHINE_NAME`" + ` | ` + "`node`" + ` |
| ` + "`STATE_DIRECTORY`, `XDG_STATE_HOME`, `HOME`" + ` | where ` + "`data_dir`" + ` is by default |
| ` + "`METRICS_EXPORTER_PORT`" + ` | the port of ` + "`http.listen`" + `, on 127.0.0.1 |
| ` + "`WEIR_TOKEN_FILE`" + ` | a file whose content is ` + "`http.token`" + `; it is made with a random token at the first start |
| ` + "`DOCKER_HOST`, `DOCKER_CERT_PATH`, `DOCKER_TLS_VERIFY`" + ` | ` + "`host` and `tls`" + ` of docker sources |
| ` + "`DEFAULT_LOGS_SINCE_NOW`" + ` | ` + "`start`" + ` of docker sources, in seconds |
| ` + "`METRICS_COLLECTION_INTERVAL`" + ` | ` + "`stats_interval`" + ` of docker sources, in seconds |
| ` + "`LAST_METRICS_COLLECTED_AT_FILE`, `LAST_LOGS_COLLECTED_AT_FILE`" + ` | ` + "`last_metrics_file` and `last_logs_file`" + ` of docker sources |
| ` + "`LOG_LEVELS_MAPPING_PATH`" + ` | ` + "`level_mapping`" + ` |
| ` + "`STATSD_HOST`, `STATSD_PORT` (8125), `STATSD_PROTOCOL` (tcp), `STATSD_PREFIX`, `STATSD_ENABLED`" + ` | a statsd sink, where the file has no sinks |
| ` + "`DD_DOGSTATSD_URL`, or `DD_AGENT_HOST` and `DD_DOGSTATSD_PORT`" + ` | the same |
| ` + "`LOGS_DIR`, `LOGS_CONTAINER_MAX_FILES` (10), `LOGS_CONTAINER_MAX_FILE_SIZE` (10485760)" + ` | a file sink with the logs of containers, where the file has no sinks |
| ` + "`DD_API_KEY`, `DD_SITE`, `DD_HOSTNAME`, `DD_SERVICE`, `DD_TAGS`, `DD_ENV`, `DD_VERSION`" + ` | ` + "`api_key`, `site`, `hostname`, `service` and `tags`" + ` of datadog sinks |
| ` + "`DD_LOGS_ENABLED`" + ` | with ` + "`true`" + ` and a ` + "`DD_API_KEY`" + `: a datadog sink, where the file has no sinks |
| ` + "`LOGS_COLLECTION_INTERVAL`, `MAX_COLLECTOR_THREADS`" + ` | nothing: they are named in the log at the start |

A number that is none is a mistake of the configuration, as in a file.

`

// TestReferenceIsCurrent compares what is committed with what the code says now; with
// WEIR_UPDATE=1 it writes it.
func TestReferenceIsCurrent(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dirs := []string{"internal/agent", "internal/child", "internal/deliver", "internal/peers", "internal/web"}
	for _, pattern := range []string{"internal/stage/*", "internal/source/*", "internal/sink/*"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, dir := range found {
			rel, err := filepath.Rel(root, dir)
			if err != nil {
				t.Fatal(err)
			}
			dirs = append(dirs, rel)
		}
	}
	t.Chdir(root)
	comments, err := reference.Comments(dirs...)
	if err != nil {
		t.Fatal(err)
	}
	book, err := agent.Reference()
	if err != nil {
		t.Fatal(err)
	}
	book.Comments = comments
	if missing := book.Missing(); len(missing) > 0 {
		t.Errorf("no comment on %v", missing)
	}
	text, err := json.MarshalIndent(book.Used(), "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "internal/agent/comments.json", append(text, '\n'))
	var manual bytes.Buffer
	manual.WriteString(manualHead)
	if err := book.WriteMarkdown(&manual); err != nil {
		t.Fatal(err)
	}
	compare(t, "docs/config.md", manual.Bytes())
}

func compare(t *testing.T, name string, want []byte) {
	t.Helper()
	if os.Getenv("WEIR_UPDATE") != "" {
		if err := os.WriteFile(name, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(name)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not current (%v): run make docs", name, err)
	}
}
