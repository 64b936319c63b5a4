package task

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Values returns the request as parameters of /weir/v1/tasks/{id}.
func (q *TreeRequest) Values() url.Values {
	v := q.Patience.values()
	setTime(v, "start", q.Start)
	setTime(v, "end", q.End)
	if q.Lines {
		v.Set("records", "true")
	}
	return v
}

// Values returns the request as parameters of /weir/v1/tasks.
func (q *ListRequest) Values() url.Values {
	v := q.Patience.values()
	setTime(v, "start", q.Start)
	setTime(v, "end", q.End)
	v.Set("limit", strconv.Itoa(q.Limit))
	v.Set("slow", q.Slow.String())
	if q.Name != "" {
		v.Set("name", q.Name)
	}
	for _, s := range q.States {
		v.Add("state", string(s))
	}
	if q.OnlySlow {
		v.Add("state", slowState)
	}
	for _, c := range q.Where {
		v.Add("where", c.Name+"="+c.Value)
	}
	return v
}

func setTime(v url.Values, name string, t time.Time) {
	if !t.IsZero() {
		v.Set(name, t.UTC().Format(time.RFC3339Nano))
	}
}

func (p Patience) values() url.Values {
	v := url.Values{}
	if p.WentOn > 0 {
		v.Set("went_on", p.WentOn.String())
	}
	if p.Silent > 0 {
		v.Set("silent", p.Silent.String())
	}
	return v
}

// slowState asks for what was slow among states.
const slowState = "slow"

// SetStates reads names of states, and slow.
func (q *ListRequest) SetStates(names []string) error {
	known := []State{Failed, Lost, Open, Success, Unknown}
	for _, name := range names {
		switch s := State(strings.TrimSpace(name)); {
		case s == slowState:
			q.OnlySlow = true
		case s == "ok":
			q.States = append(q.States, Success)
		case slices.Contains(known, s):
			q.States = append(q.States, s)
		default:
			return fmt.Errorf("%s: use failed, lost, slow, open, success or unknown", name)
		}
	}
	return nil
}

// ParseConditions reads conditions, as name=value.
func ParseConditions(list []string) (all []Condition, err error) {
	if len(list) > MaxConditions {
		return nil, errors.New("is there too often: give up to " + strconv.Itoa(MaxConditions))
	}
	for _, text := range list {
		name, value, ok := strings.Cut(text, "=")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, fmt.Errorf("%s: give a field and its value, as user=u42", text)
		}
		all = append(all, Condition{name, value})
	}
	return all, nil
}
