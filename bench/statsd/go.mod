module github.com/weirlog/weir/bench/statsd

go 1.26.0

require (
	github.com/DataDog/datadog-go/v5 v5.9.1
	github.com/cactus/go-statsd-client/v5 v5.1.0
	github.com/smira/go-statsd v1.3.4
	github.com/weirlog/weir v0.0.0
)

require (
	github.com/Microsoft/go-winio v0.5.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace github.com/weirlog/weir => ../../
