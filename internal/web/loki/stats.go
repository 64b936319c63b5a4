package loki

// stats writes what an answer took, under Loki's names as far as there is something that
// they can mean here: a block of text is a chunk.
func (o *out) stats(u *usage, returned int) {
	s := &u.stats
	seconds := u.took.Seconds()
	rate := func(n int64) int64 {
		if seconds <= 0 {
			return 0
		}
		return int64(float64(n) / seconds)
	}
	field := func(name string, n int64) {
		o.raw(name)
		o.int(n)
	}
	field(`{"summary":{"bytesProcessedPerSecond":`, rate(s.Bytes))
	field(`,"linesProcessedPerSecond":`, rate(s.Lines))
	field(`,"totalBytesProcessed":`, s.Bytes)
	field(`,"totalLinesProcessed":`, s.Lines)
	o.raw(`,"execTime":`)
	o.float(seconds)
	o.raw(`,"queueTime":`)
	o.float(u.queued.Seconds())
	field(`,"subqueries":0,"totalEntriesReturned":`, int64(returned))
	field(`,"splits":0,"shards":0,"totalPostFilterLines":`, s.Matched)
	field(`,"totalStructuredMetadataBytesProcessed":0},"querier":{"store":{"totalChunksRef":`, int64(s.Blocks))
	field(`,"totalChunksDownloaded":`, int64(s.BlocksRead))
	field(`,"chunksDownloadTime":0,"queryReferencedStructuredMetadata":false,"chunk":{"headChunkBytes":0,"headChunkLines":0,"decompressedBytes":`, s.Bytes)
	field(`,"decompressedLines":`, s.Lines)
	field(`,"compressedBytes":0,"totalDuplicates":0,"postFilterLines":`, s.Matched)
	o.raw(`,"headChunkStructuredMetadataBytes":0,"decompressedStructuredMetadataBytes":0},"chunkRefsFetchTime":0}},` +
		`"ingester":{"totalReached":0,"totalChunksMatched":0,"totalBatches":0,"totalLinesSent":0,` +
		`"store":{"totalChunksRef":0,"totalChunksDownloaded":0,"chunksDownloadTime":0,"chunk":{"headChunkBytes":0,"headChunkLines":0,` +
		`"decompressedBytes":0,"decompressedLines":0,"compressedBytes":0,"totalDuplicates":0,"postFilterLines":0}}},"cache":{}}`)
}
