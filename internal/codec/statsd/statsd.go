// Package statsd reads the lines that StatsD's clients send: metrics as etsy's statsd takes
// them, or as DogStatsD does, protocols 1.0 to 1.6, with its events and service checks.
//
//	p := statsd.Parser{Dialect: statsd.DogStatsD}
//	for p.Start(line); p.Next(); {
//		if p.Bad != statsd.Good {
//			bad[p.Bad]++
//			continue
//		}
//		use(p.Name, p.Type, p.Value/p.Rate)
//	}
//
// A line of etsy's dialect has several metrics in it, each good or bad by itself; in a line
// of DogStatsD's all have one type, and one that is bad makes all bad. The two differ in what
// -3|g means: less three in the one, and minus three in the other. Sources: etsy's stats.js
// 0.10.2, and the specification and parser of the Datadog agent. What the metrics are added
// up to is not the package's business.
package statsd

// Dialect is how lines are read.
type Dialect uint8

// The dialects, by whose server a line is meant for.
const (
	StatsD    Dialect = iota // that of etsy
	DogStatsD                // the agent of Datadog
)

// Type is what a metric is.
type Type uint8

// The types, with the letters that stand for them.
const (
	Counter      Type = iota // c
	Gauge                    // g
	Timer                    // ms
	Histogram                // h
	Distribution             // d
	Set                      // s
)

var typeNames = [...]string{Counter: "counter", Gauge: "gauge", Timer: "timer", Histogram: "histogram", Distribution: "distribution", Set: "set"}

// String returns the name of the type.
func (t Type) String() string { return typeNames[t] }

var typeLetters = [...]string{Counter: "c", Gauge: "g", Timer: "ms", Histogram: "h", Distribution: "d", Set: "s"}

// Letters returns what stands for the type in a line: c, g, ms, h, d or s.
func (t Type) Letters() string { return typeLetters[t] }

// Reason is what is wrong with a metric, or a line. The zero Reason is Good.
type Reason uint8

// The reasons.
const (
	Good     Reason = iota // a metric as it should be
	NoName                 // nothing stands before the colon
	NoValue                // or nothing but colons
	NoType                 // nothing stands behind the bar
	BadType                // etsy takes any for a counter
	BadValue               // no finite number, or a negative duration
	BadRate                // no number above zero
	BadTime                // no whole number of seconds above zero
	BadEvent               // its lengths do not fit
	BadCheck               // it has no name, or a status beyond 3
)

var reasonNames = [...]string{
	Good: "", NoName: "no name", NoValue: "no value", NoType: "no type", BadType: "unknown type", BadValue: "not a number",
	BadRate: "not a sample rate", BadTime: "not a time", BadEvent: "not an event", BadCheck: "not a service check",
}

// String returns the reason as a short constant phrase, "" for Good.
func (r Reason) String() string { return reasonNames[r] }

// Metric is one value of a line. Its texts are parts of the line.
type Metric struct {
	// Name is as it was sent, without tags in it. AppendName makes it one as etsy's has.
	Name []byte
	Type Type
	// Value is of everything but a Set, in the unit that the client has taken, which for a
	// Timer is milliseconds.
	Value float64
	// Text is the value as it was sent: what a Set has one more of.
	Text []byte
	// Delta tells that Value is to be added to a Gauge.
	Delta bool
	// Rate is how many of all were sent, 1 if all were. Etsy's takes more than 1 as well.
	Rate float64
	// Tags are those behind |# and those within the name.
	Tags Tags
	// Time is when a DogStatsD client took the value of a Counter or Gauge, in Unix seconds;
	// zero if it did not say.
	Time int64
	Origin
}

// Origin is what a DogStatsD client says of where it is, nil where it does not.
type Origin struct {
	Container   []byte // c: the container's id, or what else tells it
	External    []byte // e: of a client that cannot know its container
	Cardinality []byte // card: none, low, orchestrator or high
}

// Parser reads lines, one after the other. Its zero value reads etsy's. It belongs to one
// goroutine, and allocates nothing.
type Parser struct {
	Dialect Dialect
	// Metric and Bad are what Next has come to. Where it is Bad only the name is set, if there
	// is one.
	Metric
	Bad Reason

	rest []byte // values that are yet to come
	more bool   // there are some, even if rest is empty
}

// Start begins with a line, without its line feed.
func (p *Parser) Start(line []byte) {
	p.Metric, p.Bad, p.more = Metric{Rate: 1}, Good, true
	if p.Dialect == DogStatsD {
		p.startDog(line)
		return
	}
	p.startEtsy(line)
}

// Next goes on to the next metric of the line. It returns false if there is none.
func (p *Parser) Next() bool {
	switch {
	case !p.more:
		return false
	case p.Bad != Good && p.Dialect == DogStatsD, p.Bad == NoName, p.Bad == NoValue && p.rest == nil:
		p.more = false
		return true // what Start has found
	case p.Dialect == DogStatsD:
		return p.nextDog()
	}
	p.nextEtsy()
	return true
}
