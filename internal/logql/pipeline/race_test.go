//go:build race

package pipeline_test

// raceDetector tells that sync.Pool, which regexp uses, drops things at random.
const raceDetector = true
