package remotewritetest

import "testing"

// FuzzRead gives the readers anything: they answer or refuse.
func FuzzRead(f *testing.F) {
	f.Add([]byte("\x0a\x1d\x0a\x0e\x0a\x08__name__\x12\x02up\x12\x0b\x09\x00\x00\x00\x00\x00\x00\xf0\x3f\x10\x0f"))
	f.Add([]byte("\x22\x00\x22\x01a\x2a\x04\x0a\x02\x01\x01"))
	f.Add([]byte("\x2a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(_ *testing.T, body []byte) {
		_, _ = ReadV1(body)
		_, _ = ReadV2(body)
	})
}
