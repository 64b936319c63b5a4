// Package processor tells what the processor has beyond what every one of its kind has, for
// the loops that are written in assembly.
package processor
