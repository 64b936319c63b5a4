package scope_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/weirlog/weir/scope"
)

// stdout returns a handler whose lines are the same whenever they are written.
func stdout() slog.Handler {
	return slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		if key := a.Value.String(); strings.Contains(key, "@") {
			seq, id, _ := strings.Cut(key, "@")
			a.Value = slog.StringValue(seq + "@…" + id[36:])
		}
		return a
	}})
}

func Example() {
	handler, err := scope.New(stdout(), scope.Options{}) // sends nothing
	if err != nil {
		fmt.Println(err)
		return
	}
	log := slog.New(handler)
	ctx := scope.WithLogger(context.Background(), log) // or slog.SetDefault(log)

	ctx, task := scope.Task(ctx, "order", "user", "leo")
	log.InfoContext(ctx, "paid", "euro", 42)
	func() (err error) {
		ctx, part := scope.To(ctx, "ship")
		defer part.End(&err)
		log.InfoContext(ctx, "packed")
		return errors.New("no stamps")
	}()
	task.Success("order taken")
	task.End(nil)
	// Output:
	// level=INFO msg=order context.key=0@… context.user=leo
	// level=INFO msg=paid euro=42 context.key=1@… context.user=leo
	// level=INFO msg=ship context.key=0@…/1
	// level=INFO msg=packed context.key=1@…/1
	// level=ERROR msg="FAILED ship" error="no stamps" context.key=2@…/1
	// level=INFO msg="order taken" context.key=2@… context.user=leo
}

func ExampleImport() {
	handler, err := scope.New(stdout(), scope.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := scope.WithLogger(context.Background(), slog.New(handler))

	_, task := scope.Task(ctx, "here")
	id := string(task.Foreign()) // goes to another process, by whatever way

	_, part := scope.Import(ctx, scope.ID(id), "there")
	part.End(nil)
	// Output:
	// level=INFO msg=here context.key=0@…
	// level=INFO msg=there context.key=0@…/1
	// level=INFO msg=there context.key=1@…/1
}

func ExampleScope_Bind() {
	handler, err := scope.New(stdout(), scope.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := scope.WithLogger(context.Background(), slog.New(handler))

	_, task := scope.Task(ctx, "login")
	task.Bind("user", "leo")
	task.End(nil)
	// Output:
	// level=INFO msg=login context.key=0@…
	// level=INFO msg=login context.key=1@… context.user=leo
}

func ExampleID() {
	id, err := scope.ParseID("3@18f9d278-b3d8-489c-82e4-6d1d49b63f18/1")
	fmt.Println(id, err)
	fmt.Println(id.Traceparent())
	// Output:
	// 18f9d278-b3d8-489c-82e4-6d1d49b63f18/1 <nil>
	// 00-18f9d278b3d8489c82e46d1d49b63f18-9b9652f59b155597-01
}

func ExampleMetrics() {
	metrics := &scope.Metrics{Buckets: []float64{1, 10}}
	handler, err := scope.New(nil, scope.Options{Metrics: metrics})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := scope.WithLogger(context.Background(), slog.New(handler))
	_, task := scope.Task(ctx, "order")
	task.Fail(errors.New("sold out"))
	task.End(nil)

	for line := range strings.Lines(string(metrics.AppendOpenMetrics(nil))) {
		if value, exemplar, ok := strings.Cut(line, " # "); ok && strings.Contains(value, "failures") {
			fmt.Println(value, strings.Contains(exemplar, "trace_id"))
		}
	}
	// Output: task_failures_total{task="order"} 1 true
}
