// What the tests build of Loki, see .ci/components. Nothing of it is part of weir.
module loki

go 1.26

require (
	github.com/grafana/loki/pkg/push v0.0.0-20250630054201-94c0ba7b0952
	github.com/grafana/loki/v3 v3.7.8
)
