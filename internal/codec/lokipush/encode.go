package lokipush

import "github.com/weirlog/weir/internal/codec/protobuf"

// OpenEntry appends the beginning of an entry of a stream, which AppendMetadata goes on and
// protobuf.Close ends. Entries that follow each other are what AppendRequest wants.
func OpenEntry(dst []byte, time int64, line []byte) (b []byte, at int) {
	dst, at = protobuf.Open(dst, streamEntries)
	dst, stamp := protobuf.Open(dst, entryTime)
	seconds, rest := time/second, time%second
	if rest < 0 {
		seconds, rest = seconds-1, rest+second
	}
	dst = protobuf.AppendNumber(dst, timeSeconds, uint64(seconds))
	dst = protobuf.AppendNumber(dst, timeNanos, uint64(rest))
	dst = protobuf.Close(dst, stamp)
	return protobuf.AppendText(dst, entryLine, line), at
}

// AppendMetadata appends a pair of an entry's structured metadata.
func AppendMetadata[T string | []byte](dst []byte, name T, value T) []byte {
	dst, at := protobuf.Open(dst, entryMetadata)
	dst = protobuf.AppendText(dst, pairName, name)
	dst = protobuf.AppendText(dst, pairValue, value)
	return protobuf.Close(dst, at)
}

// AppendRequest appends a PushRequest with entries of one stream, to be packed with snappy.
func AppendRequest(dst []byte, labels string, entries []byte) []byte {
	dst, at := protobuf.Open(dst, requestStreams)
	dst = protobuf.AppendText(dst, streamLabels, labels)
	return protobuf.Close(append(dst, entries...), at)
}
