package push

import (
	"github.com/weirlog/weir/internal/codec/lokipush"
	"github.com/weirlog/weir/internal/codec/severity"
	"github.com/weirlog/weir/internal/intake"
	"github.com/weirlog/weir/internal/record"
)

// streams are the open ones, by the labels that senders write.
type streams struct {
	*intake.Streams
	cfg  Config
	name string // of the source
}

func newStreams(cfg Config, name string) *streams {
	return &streams{Streams: intake.NewStreams(name, cfg.MaxStreams, levelOf), cfg: cfg, name: name}
}

// get returns the stream of labels, making it if need be, and lets it stay open until Put.
// Its error is intake.ErrFull, or says what is wrong with the labels.
func (s *streams) get(l lokipush.Labels, tenant string) (*intake.Stream, error) {
	key := append(append(make([]byte, 0, len(tenant)+len(l.Text)+2), tenant...), 0)
	if l.JSON {
		key = append(key, 'j')
	}
	return s.Get(append(key, l.Text...), func() (record.Labels, error) {
		labels, err := l.Parse()
		if err != nil {
			return nil, err
		}
		return s.complete(labels, tenant), nil
	})
}

// complete adds the label source, and those that the configuration asks for.
func (s *streams) complete(labels record.Labels, tenant string) record.Labels {
	m := map[string]string{"source": s.name}
	for _, l := range labels {
		m[l.Name] = l.Value
	}
	if s.cfg.TenantLabel != "" && tenant != "" {
		m[s.cfg.TenantLabel] = tenant
	}
	for name, value := range s.cfg.Labels {
		m[name] = value
	}
	return record.NewLabels(m)
}

// surest is what levelName returns of the name under which queries have the level.
const surest = 4

// levelName returns how much a label or field of that name says about the level of a record:
// the more the better, 0 is nothing.
func levelName(name string) int {
	switch name {
	case "detected_level":
		return surest
	case "level":
		return 3
	case "severity", "severity_text":
		return 2
	case "lvl", "loglevel", "log_level":
		return 1
	}
	return 0
}

func levelOf(labels record.Labels) (level record.Level) {
	best := 0
	for _, l := range labels {
		if rank := levelName(l.Name); rank > best {
			if v := severity.FromValue([]byte(l.Value)); v != record.LevelUnknown {
				best, level = rank, v
			}
		}
	}
	return level
}
