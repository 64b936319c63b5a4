//go:build race

package agent

// keptAllocations is how many a line may cost where its text is kept: with the race detector
// sync.Pool drops things at random.
const keptAllocations = 0.1
