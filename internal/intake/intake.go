// Package intake is what the sources share whose senders wait for an answer until what they
// sent is committed and synced: the memory for bodies, which is bounded for all of them
// together and unpacked within bounds (Body, Budget); the open streams, of which there are
// so many at most (Streams), and those of one request (Found); when the lines may be used
// (Gate); and syncs that several requests have together (Commits).
//
// A Body, and the Found of its request, belong to one goroutine; all else may be used
// concurrently. The package leaves out what is in a body, and how a request is answered.
package intake
