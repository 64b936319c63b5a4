// Package intake is what the sources share whose senders wait for an answer until what they
// sent is committed and synced: the memory for bodies, which is bounded for all of them
// together and unpacked within bounds (Body, Budget); the open streams, of which there are
// so many at most (Streams, Found); and syncs that several requests have together (Commits).
//
// All but a Body may be used concurrently. The package leaves out what is in a body, and
// how a request is answered.
package intake
