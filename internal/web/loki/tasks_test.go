package loki_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/weirlog/weir/internal/archive"
	"github.com/weirlog/weir/internal/codec/kept"
	"github.com/weirlog/weir/internal/logql"
	"github.com/weirlog/weir/internal/record"
	"github.com/weirlog/weir/internal/task"
	"github.com/weirlog/weir/internal/web/loki"
)

const taskID = "f738d4aa-6a48-4fac-be7e-f34721792d8c"

// newTasks returns a world whose tasks can be asked for.
func newTasks(t testing.TB, limits loki.Limits) *world {
	return newWorld(t, limits, func(d *loki.Deps) {
		d.Tasks = task.Finder{Blocks: d.Engine.(*logql.Engine), Archive: d.Live.(*archive.Archive), Pause: time.Millisecond}
	})
}

// task writes a record of one.
func (w *world) task(t testing.TB, key string, level record.Level, text string) {
	t.Helper()
	w.keep(t, shop, kept.Record{Time: began.UnixNano(), Level: level, Body: []byte(text), Fields: []kept.Field{{Name: []byte("key"), Value: []byte(key)}}})
}

// get answers below /weir/v1/tasks.
func (w *world) get(path string) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, httptest.NewRequest("GET", "/weir/v1/tasks"+path, nil))
	return rec
}

func TestTasks(t *testing.T) {
	w := newTasks(t, loki.Limits{})
	w.task(t, "0@"+taskID, record.LevelInfo, "job <b> \u202e")
	w.task(t, "1@"+taskID, record.LevelError, "FAILED job <b> \u202e")
	w.task(t, "0@"+taskID+"/1", record.LevelInfo, "part")
	since := "start=" + began.Add(-time.Minute).Format(time.RFC3339)
	var list task.List
	rec := w.get("?" + since)
	if err := json.Unmarshal(rec.Body.Bytes(), &list); err != nil || rec.Code != http.StatusOK || rec.Header().Get("Content-Type") != "application/json" {
		t.Fatal(err, rec.Code, rec.Header(), rec.Body)
	}
	if len(list.Tasks) != 1 || list.Tasks[0].ID != taskID || list.Tasks[0].State != task.Failed || list.Tasks[0].Records != 3 || list.Tasks[0].Name != "job <b> \u202e" {
		t.Errorf("%+v", list)
	}
	if strings.Contains(rec.Body.String(), "\u202e") {
		t.Error("it can do harm to a terminal")
	}
	if rec := w.get("?" + since + "&state=success&state=open"); rec.Body.String() != `{"tasks":[],"total":0}`+"\n" {
		t.Error(rec.Body)
	}
	var tree task.Tree
	for _, id := range []string{taskID, "7@" + taskID, strings.ReplaceAll(taskID, "-", "")} {
		rec = w.get("/" + id + "?records=true")
		if err := json.Unmarshal(rec.Body.Bytes(), &tree); err != nil || len(tree.Nodes) != 2 || tree.Nodes[1].Name != "part" || len(tree.Nodes[0].Lines) != 2 {
			t.Errorf("%s: %v %s", id, err, rec.Body)
		}
	}
	for _, id := range []string{taskID + "/1", taskID + "%2F1"} {
		if err := json.Unmarshal(w.get("/"+id).Body.Bytes(), &tree); err != nil || len(tree.Nodes) != 1 || tree.ID != taskID+"/1" {
			t.Errorf("%s: %v, %+v", id, err, tree)
		}
	}
	if body := w.get("/00000000-6a48-4fac-be7e-f34721792d8c").Body.String(); !strings.Contains(body, `"nodes":[]`) {
		t.Error(body)
	}
	if text := w.metrics(); !strings.Contains(text, `weir_queries_total{endpoint="tasks",outcome="ok"} 8`) || !strings.Contains(text, "weir_tasks_forgotten_total 0") {
		t.Error(text)
	}
}

// TestLargeTree is sent in pieces.
func TestLargeTree(t *testing.T) {
	w := newTasks(t, loki.Limits{})
	const many = 3000
	w.task(t, "0@"+taskID, record.LevelInfo, `"nodes":[]`)
	for i := range many {
		w.task(t, fmt.Sprintf("0@%s/%d", taskID, i+1), record.LevelInfo, fmt.Sprintf(`"nodes":[] %d`, i))
	}
	var tree task.Tree
	rec := w.get("/" + taskID)
	if err := json.Unmarshal(rec.Body.Bytes(), &tree); err != nil || len(tree.Nodes) != many+1 || tree.Records != many+1 || !rec.Flushed {
		t.Fatal(err, len(tree.Nodes), tree.Records, rec.Body.String()[:200])
	}
	for i, n := range tree.Nodes {
		if i > 0 && n.ID != fmt.Sprintf("%s/%d", taskID, i) {
			t.Errorf("node %d is %s", i, n.ID)
		}
	}
}

func TestTasksRefused(t *testing.T) {
	w := newTasks(t, loki.Limits{})
	for path, want := range map[string]string{
		"/x": "give the id of a task", "/": "give the id of a task", "?since=x": "since: give a time", "?slow=-1s": "slow: give a time", "?went_on=1": "went_on: give a time",
		"?state=bad": "state: bad: use failed", "?where=x": "give a field and its value", "?limit=-1": "limit: give a number", "?limit=99999": "limit: give a number",
		"?limit=x": "'limit' parameter", "?start=x": "'start' parameter", "/" + taskID + "?silent=x": "silent: give a time",
		"?" + strings.Repeat("where=a=b&", 9): "up to 8",
	} {
		if rec := w.get(path); rec.Code != http.StatusBadRequest || !strings.Contains(rec.Body.String(), want) {
			t.Errorf("%s: %d %s; want %s", path, rec.Code, rec.Body, want)
		}
	}
}

func TestTasksFollow(t *testing.T) {
	w := newTasks(t, loki.Limits{Tails: 1})
	server := serve(t, w)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/weir/v1/tasks/"+taskID+"?follow=true", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body := bufio.NewScanner(resp.Body)
	next := func(state task.State) {
		t.Helper()
		for body.Scan() {
			var tree task.Tree
			if err := json.Unmarshal(body.Bytes(), &tree); err != nil {
				t.Fatal(err)
			}
			if state == "" && len(tree.Nodes) == 0 || len(tree.Nodes) > 0 && tree.Nodes[0].State == state {
				return
			}
		}
		t.Fatal(body.Err())
	}
	next("")
	if rec := w.get(""); rec.Code != http.StatusTooManyRequests {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	w.task(t, "0@"+taskID, record.LevelInfo, "job")
	next(task.Lost) // its time is long past
	w.task(t, "1@"+taskID, record.LevelInfo, "job")
	next(task.Success)
}
