package statsd

import "bytes"

// Tags are those of a metric, in one or both of the ways to write them: behind the metric as
// DogStatsD has them (|#name:value,flag), or within its name:
//
//	name;tag=value;tag=value    Graphite
//	name,tag=value,tag=value    InfluxDB
//	name#tag=value,tag=value    Librato
//	name[tag=value,tag=value]   SignalFx
//
// The zero Tags are none.
type Tags struct {
	within, behind []byte
	between        byte // of those within
}

// Next takes the next tag off, in the order in which they stand. A tag without a value has
// none. Name and value are as they were sent; a name may come twice.
func (t *Tags) Next() (name, value []byte, ok bool) {
	for len(t.within) > 0 {
		var tag []byte
		if tag, t.within = cut(t.within, t.between); len(tag) > 0 {
			name, value = cut(tag, '=')
			return name, value, true
		}
	}
	for len(t.behind) > 0 {
		var tag []byte
		if tag, t.behind = cut(t.behind, ','); len(tag) > 0 {
			name, value = cut(tag, ':')
			return name, value, true
		}
	}
	return nil, nil, false
}

// Bytes returns the tags as they were sent, those within the name and those behind: the same
// bytes are the same tags.
func (t *Tags) Bytes() (within, behind []byte) { return t.within, t.behind }

func cut(b []byte, c byte) (before, after []byte) {
	if i := bytes.IndexByte(b, c); i >= 0 {
		return b[:i], b[i+1:]
	}
	return b, nil
}

// inName takes a name apart that has tags in it.
func inName(name []byte) (plain []byte, t Tags) {
	i := bytes.IndexAny(name, ";,#[")
	if i < 0 {
		return name, t
	}
	t.within, t.between = name[i+1:], ','
	switch name[i] {
	case ';':
		t.between = ';'
	case '[':
		end := bytes.IndexByte(t.within, ']')
		if end < 0 {
			return name, Tags{}
		}
		if end == len(t.within)-1 {
			t.within = t.within[:end]
			return name[:i], t
		}
		return name, Tags{} // what follows would be a part of the name
	}
	if bytes.IndexByte(t.within, '=') < 0 {
		return name, Tags{}
	}
	return name[:i], t
}
