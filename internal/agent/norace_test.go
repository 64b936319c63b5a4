//go:build !race

package agent

// keptAllocations is how many a line may cost where its text is kept.
const keptAllocations = 0.05
