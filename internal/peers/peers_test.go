package peers

import (
	"testing"

	"github.com/weirlog/weir/internal/config"
)

// TestDigest is the same for what makes no difference to a connection that is open, and for nothing
// else.
func TestDigest(t *testing.T) {
	key := func(c byte) string {
		text := []byte("0000000000000000000000000000000000000000")
		text[7] = c
		return string(text)
	}
	seen := map[string]int{}
	for i, s := range []Security{
		{},
		{Plain: &Plain{}},
		{Plain: &Plain{User: "a"}},
		{Plain: &Plain{Password: "a"}},
		{Plain: &Plain{Users: map[string]config.Secret{"a": "b"}}},
		{Plain: &Plain{Users: map[string]config.Secret{"a": "c"}}},
		{Curve: &Curve{}},
		{Curve: &Curve{SecretKey: config.Secret(key('1'))}},
		{Curve: &Curve{SecretKey: config.Secret(key('2'))}},
		{Curve: &Curve{ServerKey: key('1')}},
		{Curve: &Curve{Clients: []string{key('1')}}},
		{Curve: &Curve{Clients: []string{key('1'), key('2')}}},
	} {
		digest := s.Digest()
		if first, ok := seen[digest]; ok {
			t.Errorf("%d is as %d", i, first)
		}
		seen[digest] = i
		s.Allow, s.Insecure = []string{"10.0.0.0/8"}, true
		if s.Digest() != digest {
			t.Errorf("%d changes with the addresses that are allowed", i)
		}
	}
}
