package loki

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/weirlog/weir/internal/logql/lines"
	"github.com/weirlog/weir/internal/logql/unit"
	"github.com/weirlog/weir/internal/task"
)

const (
	// tasksSince is how far back a list looks, and tasksLimit how many it has, unless it is said.
	tasksSince = time.Hour
	tasksLimit = 100
	// maxTasks is how many a list has at most.
	maxTasks = 10_000
	// maxTrees is how many trees are made at one time, for pages too.
	maxTrees = 2
)

// taskList answers /weir/v1/tasks: tasks that were heard of.
func (a *API) taskList(w http.ResponseWriter, r *http.Request) {
	q, err := listRequest(r)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	write := func(o *lineWriter) func(*task.List) error {
		return func(l *task.List) error {
			a.numbers.forgotten.Add(float64(l.Forgotten))
			a.numbers.omitted.Add(float64(l.Omitted))
			return o.object(l)
		}
	}
	a.tasks(w, r, func(ctx context.Context, o *lineWriter, follow bool) error {
		if follow {
			return a.Tasks.FollowList(ctx, q, write(o))
		}
		l, err := a.Tasks.List(ctx, q)
		if err != nil {
			return err
		}
		return write(o)(l)
	})
}

// taskTree answers /weir/v1/tasks/{id}: a task, or a part of one.
func (a *API) taskTree(w http.ResponseWriter, r *http.Request) {
	q, err := treeRequest(r)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	write := func(o *lineWriter) func(*task.Tree) error {
		return func(t *task.Tree) error {
			a.numbers.omitted.Add(float64(t.Omitted))
			size := int64(t.Bytes())
			if !a.gate.hold(size) {
				return errBusy
			}
			defer a.gate.letGo(size)
			return o.tree(t)
		}
	}
	a.tasks(w, r, func(ctx context.Context, o *lineWriter, follow bool) error {
		if follow {
			return a.Tasks.FollowTree(ctx, q, write(o))
		}
		t, err := a.Tasks.Tree(ctx, q)
		if err != nil {
			return err
		}
		return write(o)(t)
	})
}

// tasks answers with JSON: one object in a line or, who follows, one more each time that it
// has changed.
func (a *API) tasks(w http.ResponseWriter, r *http.Request, answer func(context.Context, *lineWriter, bool) error) {
	follow := r.Form.Get("follow") == "true"
	u := &usage{began: time.Now()}
	select {
	case a.tails <- struct{}{}:
		defer func() { <-a.tails }()
	default:
		a.numbers.refused("tasks")
		a.refuse(w, r, requestErrorOf(http.StatusTooManyRequests, "too many connections read streams already"))
		return
	}
	out := lineWriter{w: w, control: http.NewResponseController(w), api: a}
	_ = out.control.SetReadDeadline(time.Time{}) // it is for clients that are slow to ask
	ctx := r.Context()
	w.Header().Set("Content-Type", linesForm)
	if follow {
		a.numbers.tails.Add(1)
		defer a.numbers.tails.Add(-1)
	} else {
		w.Header().Set("Content-Type", "application/json")
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, a.Limits.Timeout)
		defer cancel()
	}
	_ = out.control.SetWriteDeadline(time.Now().Add(a.Limits.Timeout + writeTime))
	err := answer(ctx, &out, follow)
	if !follow {
		a.numbers.answered("tasks", u, err)
	}
	if errors.Is(err, context.DeadlineExceeded) && r.Context().Err() == nil {
		err = requestErrorOf(http.StatusGatewayTimeout, "request timed out: ask for less time")
	}
	a.linesEnd(&out, r, err)
}

// object sends a value as JSON in a line.
func (o *lineWriter) object(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	o.buf = append(lines.AppendHarmlessJSON(o.buf[:0], text), '\n')
	return o.flush()
}

// noNodes is how a tree without nodes has them. No text within it can look so.
var noNodes = []byte(`"nodes":[]`)

// tree sends a tree as object does, in pieces.
func (o *lineWriter) tree(t *task.Tree) error {
	rest := *t
	rest.Nodes = []task.Node{}
	text, err := json.Marshal(&rest)
	if err != nil {
		return err
	}
	text = lines.AppendHarmlessJSON(nil, text)
	before := bytes.Index(text, noNodes) + len(noNodes) - 1
	o.buf = append(o.buf[:0], text[:before]...)
	for i := range t.Nodes {
		if i > 0 {
			o.buf = append(o.buf, ',')
		}
		if o.buf = appendNode(o.buf, &t.Nodes[i]); len(o.buf) >= messageBytes {
			if err := o.flush(); err != nil {
				return err
			}
			o.buf = o.buf[:0]
		}
	}
	o.buf = append(append(o.buf, text[before:]...), '\n')
	return o.flush()
}

// patience reads when what has no end is taken for lost.
func patience(f form) (p task.Patience, err error) {
	var errs [2]error
	p.WentOn, errs[0] = f.stretch("went_on", 0)
	p.Silent, errs[1] = f.stretch("silent", 0)
	return p, errors.Join(errs[:]...)
}

// stretch reads how long something is.
func (f form) stretch(name string, otherwise time.Duration) (time.Duration, error) {
	text := f.get(name)
	if text == "" {
		return otherwise, nil
	}
	d, err := unit.ParseDuration(text)
	if plain, bad := time.ParseDuration(text); err != nil && bad == nil {
		d, err = plain, nil
	}
	if err != nil || d < 0 {
		return 0, bad(name + ": give a time such as 30s or 1h")
	}
	return d, nil
}

func treeRequest(r *http.Request) (q task.TreeRequest, err error) {
	f, err := readForm(r)
	if err != nil {
		return q, err
	}
	id, ok := task.ParseID(r.PathValue("id"))
	if !ok {
		return q, bad("give the id of a task or of a trace, or the key of a record")
	}
	q.ID, q.Lines = id, f.get("records") == "true"
	var errs [3]error
	q.Start, errs[0] = f.time("start", time.Time{})
	q.End, errs[1] = f.time("end", time.Time{})
	q.Patience, errs[2] = patience(f)
	return q, errors.Join(errs[:]...)
}

func listRequest(r *http.Request) (q task.ListRequest, err error) {
	f, err := readForm(r)
	if err != nil {
		return q, err
	}
	since, err := f.stretch("since", tasksSince)
	if err != nil {
		return q, err
	}
	var errs [6]error
	q.Start, errs[0] = f.time("start", time.Now().Add(-since))
	q.End, errs[1] = f.time("end", time.Time{})
	q.Limit, errs[2] = f.number("limit", tasksLimit)
	q.Slow, errs[3] = f.stretch("slow", 0)
	q.Patience, errs[4] = patience(f)
	q.Where, errs[5] = task.ParseConditions(f.values["where"])
	for _, err := range errs {
		if err != nil {
			return q, bad(err.Error())
		}
	}
	if err := q.SetStates(f.values["state"]); err != nil {
		return q, bad("state: " + err.Error())
	}
	if q.Limit < 0 || q.Limit > maxTasks {
		return q, bad("limit: give a number from 1 to " + strconv.Itoa(maxTasks))
	}
	if q.Limit == 0 {
		q.Limit = maxTasks
	}
	q.Name = f.get("name")
	return q, nil
}
