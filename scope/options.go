package scope

// A Local says which records the wrapped handler gets.
type Local uint8

// The choices.
const (
	// Fallback is those that find no connection or no room in the queue, which wait for the
	// connection all the same if there is room.
	Fallback Local = iota
	// Always is all of them.
	Always
	// Never is none.
	Never
)

// Options are the settings of a Handler. The zero value sends nothing.
type Options struct {
	// Local says which records the wrapped handler gets. Zero: Fallback. Without an Address
	// it gets all of them.
	Local Local
	// Trace adds trace_id and span_id to each record that belongs to a scope.
	Trace bool
}
