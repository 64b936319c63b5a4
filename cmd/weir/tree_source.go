package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"

	"github.com/weirlog/weir/internal/logql"
	"github.com/weirlog/weir/internal/logql/lines"
	"github.com/weirlog/weir/internal/task"
)

// finder returns what looks for tasks in the data directory.
func (k *keptText) finder(follow bool) (*task.Finder, error) {
	if follow {
		return nil, k.unfollowed()
	}
	a, err := k.open()
	if err != nil {
		return nil, err
	}
	return &task.Finder{Blocks: logql.New(logql.Options{Archive: a}), Archive: a}, nil
}

// Tree implements taskSource.
func (k *keptText) Tree(ctx context.Context, q task.TreeRequest, follow bool, emit func(*task.Tree) error) error {
	f, err := k.finder(follow)
	if err != nil {
		return err
	}
	t, err := f.Tree(ctx, q)
	if err != nil {
		return err
	}
	return emit(t)
}

// List implements taskSource.
func (k *keptText) List(ctx context.Context, q task.ListRequest, follow bool, emit func(*task.List) error) error {
	f, err := k.finder(follow)
	if err != nil {
		return err
	}
	l, err := f.List(ctx, q)
	if err != nil {
		return err
	}
	return emit(l)
}

// tasksPath is where a weir has its tasks.
const tasksPath = "/weir/v1/tasks"

// Tree implements taskSource.
func (r *runningWeir) Tree(ctx context.Context, q task.TreeRequest, follow bool, emit func(*task.Tree) error) error {
	return eachAnswer(ctx, r, taskQuestion{tasksPath + "/" + url.PathEscape(q.ID.String()), q.Values(), follow}, emit)
}

// List implements taskSource.
func (r *runningWeir) List(ctx context.Context, q task.ListRequest, follow bool, emit func(*task.List) error) error {
	return eachAnswer(ctx, r, taskQuestion{tasksPath, q.Values(), follow}, emit)
}

// taskQuestion is what a running weir is asked.
type taskQuestion struct {
	path   string
	params url.Values
	follow bool
}

// eachAnswer calls emit with the answers of a running weir, a line each.
func eachAnswer[T any](ctx context.Context, r *runningWeir, q taskQuestion, emit func(*T) error) error {
	if q.follow {
		q.params.Set("follow", "true")
	}
	resp, err := r.get(ctx, q.path, q.params)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	in := bufio.NewReaderSize(resp.Body, 256<<10)
	for {
		text, err := in.ReadBytes('\n')
		if len(bytes.TrimSpace(text)) > 0 && err == nil {
			if err := oneAnswer(r, text, emit); err != nil {
				return err
			}
		}
		switch {
		case err == nil:
		case q.follow && errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return fmt.Errorf("the weir at %s has ended", r.url)
		case errors.Is(err, io.EOF):
			return nil
		default:
			return err
		}
	}
}

func oneAnswer[T any](r *runningWeir, text []byte, emit func(*T) error) error {
	var failed struct{ Error *string }
	if bytes.HasPrefix(text, []byte(`{"error":`)) && json.Unmarshal(text, &failed) == nil && failed.Error != nil {
		return fmt.Errorf("the weir at %s says: %w", r.url, &lines.RemoteError{Text: *failed.Error})
	}
	one := new(T)
	if err := json.Unmarshal(text, one); err != nil {
		return fmt.Errorf("the running weir's answer: %w", err)
	}
	return emit(one)
}
