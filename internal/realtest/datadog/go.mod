module github.com/weirlog/weir/internal/realtest/datadog

go 1.26.0

require github.com/DataDog/datadog-go/v5 v5.9.1

require (
	github.com/Microsoft/go-winio v0.5.0 // indirect
	golang.org/x/sys v0.48.0 // indirect
)
