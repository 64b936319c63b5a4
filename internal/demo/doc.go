// Package demo makes the traffic that `make demo` shows weir on: access lines of a busy
// shop, with quiet minutes, bursts, a failing upstream now and then, and the broken requests
// that every public server gets. They go into a file that is rotated by renaming and, where
// a Docker engine answers, into a container whose image holds the running binary alone.
//
//	err := demo.Run(ctx, demo.Options{Dir: dir, DockerHost: "unix:///var/run/docker.sock", Out: os.Stdout})
//
// Traffic alone makes the lines, the same for the same seed; the benchmarks' data sets are
// made of them. The package leaves out the reading and counting of what it writes.
package demo
