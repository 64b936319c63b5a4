package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/weirlog/weir/bench/dataset"
)

// keptTasks measures drawing one task of many records, and listing tasks, among more than ten million
// records.
func (b *bench) keptTasks(ctx context.Context) error {
	const name = "**weir**: the tree of one task"
	if !b.wants(name) {
		return nil
	}
	set, err := b.set(dataset.Spec{Lines: 10_000_000, Files: 100, Mixed: true})
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(b.scratch, "weir-")
	if err != nil {
		return err
	}
	const rounds = 2
	tasks, err := dataset.MakeTasks(dir, rounds)
	if err != nil {
		return err
	}
	config := filepath.Join(dir, "weir.yaml")
	text := fmt.Sprintf(`data_dir: %s
http: {listen: "127.0.0.1:0"}
sources:
  access: {type: file, paths: ["%s"], start: beginning}
  tasks: {type: file, paths: ["%s"], start: beginning}
`, filepath.Join(dir, "state"), filepath.Join(set.Dir, "access-*.log"), tasks.Path)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return err
	}
	b.say("keeping 10,800,000 records, some of tasks")
	if out, err := exec.CommandContext(ctx, b.weir, "run", "--once", "--config", config).CombinedOutput(); err != nil {
		return fmt.Errorf("keep records of tasks: %w: %s", err, out)
	}
	s, err := b.serveKept(ctx, config)
	if err != nil {
		return err
	}
	defer s.stop()
	work := fmt.Sprintf("tasks among 10,800,000 kept records, four of %s at a time, warm", number(tasks.Records))
	r := row{work: work, name: name}
	if err := treeRow(ctx, s, tasks, &r); err != nil {
		b.fail(&r, err)
	}
	b.table.add(r)
	r = row{work: work, name: "**weir**: a list of all tasks"}
	if err := listRow(ctx, s, &r); err != nil {
		b.fail(&r, err)
	}
	b.table.add(r)
	return nil
}

func treeRow(ctx context.Context, s *serving, tasks dataset.Tasks, r *row) error {
	body, err := s.ask(ctx, r, "/weir/v1/tasks/"+tasks.ID)
	if err != nil {
		return err
	}
	var tree struct {
		Records int
		Nodes   []struct{ State string }
	}
	if err := json.Unmarshal(body, &tree); err != nil {
		return err
	}
	r.counts = fmt.Sprintf("%s records, %s scopes", number(tree.Records), number(len(tree.Nodes)))
	good := 0
	for _, n := range tree.Nodes {
		if n.State == "success" {
			good++
		}
	}
	if tree.Records != tasks.Records || good != tasks.Scopes {
		return fmt.Errorf("%d records, %d scopes ended; want %d and %d", tree.Records, good, tasks.Records, tasks.Scopes)
	}
	return nil
}

func listRow(ctx context.Context, s *serving, r *row) error {
	body, err := s.ask(ctx, r, "/weir/v1/tasks?since=24h")
	if err != nil {
		return err
	}
	var list struct{ Tasks []struct{ Records int } }
	if err := json.Unmarshal(body, &list); err != nil {
		return err
	}
	all := 0
	for _, t := range list.Tasks {
		all += t.Records
	}
	r.counts = fmt.Sprintf("%d tasks, %s records", len(list.Tasks), number(all))
	return nil
}
