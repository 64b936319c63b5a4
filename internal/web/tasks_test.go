package web_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/config"
	"github.com/weirlog/weir/internal/task"
	"github.com/weirlog/weir/internal/web"
)

// fakeTasks has one task.
type fakeTasks struct {
	lists int
	err   error
}

const oneTask = "f738d4aa-6a48-4fac-be7e-f34721792d8c"

func (f *fakeTasks) List(context.Context, task.ListRequest) (*task.List, error) {
	f.lists++
	return &task.List{Total: 3, Forgotten: 17, Omitted: 18, Tasks: []task.Summary{
		{ID: oneTask, Name: "<script>alert(1)</script>", State: task.Failed, Start: time.Now(), Duration: 12, Slow: true, Records: 9, Errors: 2, Host: "vm", Process: "7"},
		{ID: "None@vm:7", State: task.Open, Start: time.Now()},
	}}, f.err
}

func (f *fakeTasks) Tree(context.Context, task.TreeRequest) (*task.Tree, error) {
	t := &task.Tree{ID: oneTask, Omitted: 11, Clipped: 12}
	for i := range 2500 {
		t.Nodes = append(t.Nodes, task.Node{ID: "part", Parent: i - 1, Depth: min(i, 40), Name: "<b>scope", State: task.Lost, Why: "no end", Error: "<i>bad", Missing: 1})
	}
	return t, f.err
}

func TestTasksPage(t *testing.T) {
	f := newFake(t)
	tasks := &fakeTasks{}
	h := web.Handler(web.Default(), web.Deps{Metrics: f.registry, Status: f, Tasks: tasks, Log: slog.New(slog.DiscardHandler)})
	get := func(path string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", "http://localhost"+path, nil)
		r.Header.Set("Accept", browser)
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		return rec
	}
	for range 3 {
		body := get("/tasks").Body.String()
		for _, want := range []string{"&lt;script&gt;alert(1)", `href="/tasks/` + oneTask + `"`, "2 of 3", "12s", "None@vm:7", "17 tasks more had no room to choose from, and 18 records"} {
			if !strings.Contains(body, want) {
				t.Errorf("%s\nhas no %s", body, want)
			}
		}
		if strings.Contains(body, "<script>alert") {
			t.Error("text of a log is markup")
		}
	}
	if tasks.lists != 1 {
		t.Errorf("the list was made %d times in a moment", tasks.lists)
	}
	body := get("/tasks/" + oneTask).Body.String()
	for _, want := range []string{"&lt;b&gt;scope", "&lt;i&gt;bad", "no end", "and 500 scopes more", "└─ ", "11 records more belong", "Of 12 scopes some text"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page of a task has no %s", want)
		}
	}
	if !strings.Contains(get("/").Body.String(), `<a href="/tasks">tasks</a>`) {
		t.Error("no link leads to it")
	}
	if rec := get("/tasks/x"); rec.Code != http.StatusNotFound {
		t.Errorf("%d", rec.Code)
	}
	tasks.err = errors.New("too many outstanding requests")
	if rec := get("/tasks/" + oneTask); rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), "could not be read now: too many") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

func TestTasksPageAsksForToken(t *testing.T) {
	f := newFake(t)
	c := web.Default()
	c.Token = config.Secret("a long enough token")
	h := web.Handler(c, web.Deps{Metrics: f.registry, Status: f, Tasks: &fakeTasks{}, Log: slog.New(slog.DiscardHandler)})
	for _, path := range []string{"/tasks", "/tasks/" + oneTask} {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest("GET", "http://localhost"+path, nil))
		if rec.Code != http.StatusUnauthorized {
			t.Errorf("%s: %d", path, rec.Code)
		}
	}
}
