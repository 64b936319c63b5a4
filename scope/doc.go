// Package scope gives the records of [log/slog] the task that they belong to, across
// goroutines and processes, and sends them to weir, or to any other server that takes what
// the Python library distlog sends.
//
//	handler, err := scope.New(slog.NewTextHandler(os.Stderr, nil), scope.Options{Address: "tcp://127.0.0.1:5010"})
//	if err != nil {
//		return err // the options are wrong; a server that is down is no error
//	}
//	defer handler.Close(ctx)
//	slog.SetDefault(slog.New(handler))
//
//	func order(ctx context.Context, user string) (err error) {
//		ctx, task := scope.Task(ctx, "order", "user", user)
//		defer task.End(&err) // "order" again, or "FAILED order" with the error
//
//		slog.InfoContext(ctx, "paid", "euro", 42) // belongs to the task
//		return ship(ctx)                          // may open a part of it with scope.To
//	}
//
// The package owns the numbering of scopes and of their records, the connection, which heals
// itself, and what waits to be sent, which is bounded. It imports the standard library alone.
//
// # Scopes
//
// [Task] begins a tree, [To] a part of what the context is in, and [Import] goes on in
// another process with an id that [Scope.Foreign] gave. A record belongs to the scope that
// its context is in, so it has to be logged with one: slog.InfoContext, not slog.Info. Its
// key is seq@uuid/1/2: the record's number in its scope, from 0, the task, and the numbers
// of the parts that lead to the scope, from 1. See [ID] for how that is a trace of W3C's.
//
// Numbers are given by the Handler that gets the record; so a program has one Handler.
//
// # What is promised
//
// No call waits for the server, and nothing grows without a bound. What finds the queue full
// is dropped and counted ([Handler.Stats]), and goes to the wrapped handler, as all records
// do while there is no connection, unless Options.Local says otherwise. A record is sent
// once; what a broken connection had taken may have arrived or not, and is not repeated.
//
// # Concurrency
//
// Everything may be called at the same time by any number of goroutines. On a nil Scope
// every method does nothing.
//
// What is left out on purpose: CURVE (use a private network, a tunnel or the ipc transport),
// pickles, and sampling. Package scopehttp takes scopes through HTTP.
package scope
