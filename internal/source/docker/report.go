package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/dockerapi"
)

// announce says in the log how containers are followed and measured.
func (f *fleet) announce() {
	measured := "never"
	if f.stats != nil {
		measured = config.FormatDuration(f.cfg.StatsInterval)
	}
	attrs := []any{"host", f.cfg.Host, "read", f.cfg.Read, "start", f.cfg.Start, "measured_every", measured}
	if f.stats != nil {
		attrs = append(attrs, "measured_by", f.cfg.StatsRead)
	}
	for _, file := range []struct{ key, path string }{{"last_metrics_file", f.cfg.LastMetricsFile}, {"last_logs_file", f.cfg.LastLogsFile}} {
		if file.path != "" {
			attrs = append(attrs, file.key, file.path)
		}
	}
	f.deps.Log.Info("following containers", attrs...)
}

// introduce says in the log what engine answers, if it is another than the last time. A proxy
// may keep it to itself. One call at a time.
func (f *fleet) introduce(ctx context.Context, c *dockerapi.Client) {
	e, err := c.Engine(ctx)
	if ctx.Err() != nil {
		return
	}
	spoken, _ := c.Version(ctx)
	attrs := []any{"host", f.cfg.Host, "spoken_api", spoken}
	if err == nil {
		attrs = append(attrs, "version", e.Version, "api", e.API, "system", e.System, "kernel", e.Kernel)
	}
	if said := fmt.Sprint(attrs...); said != f.introduced {
		f.introduced = said
		f.deps.Log.Info("connected to the docker engine", attrs...)
	}
}

// stampRemedy is what a user can do about a stamp that cannot be written.
const stampRemedy = "name a file in a directory that exists and that weir may write to, or leave it out"

// stamp writes a time to one of the files for those who watch them; an empty path is none.
func (f *fleet) stamp(key, path string, at time.Time) {
	if path == "" {
		return
	}
	if err := writeStamp(path, at); err != nil {
		f.health.set(key, fmt.Sprintf("write %s: %v", key, err), stampRemedy)
		return
	}
	f.health.set(key, "", "")
}

// writeStamp replaces the content of a file by a time in whole Unix seconds. Who reads it sees
// the old time or the new one. A link is replaced, not followed.
func writeStamp(path string, at time.Time) error {
	w, err := os.CreateTemp(filepath.Dir(path), ".weir-*")
	if err != nil {
		return err
	}
	_, err = w.WriteString(strconv.FormatInt(at.Unix(), 10))
	err = errors.Join(err, w.Chmod(0o644), w.Close())
	if err == nil {
		err = os.Rename(w.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(w.Name()))
	}
	return nil
}
