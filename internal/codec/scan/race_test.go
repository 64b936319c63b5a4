//go:build race

package scan

// raceDetector tells that sync.Pool drops things at random.
const raceDetector = true
