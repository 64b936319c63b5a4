// Package remotewritetest reads the bodies of remote write, for tests of who writes them.
package remotewritetest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/weirlog/weir/internal/codec/native"
	"github.com/weirlog/weir/internal/codec/remotewrite"
)

// ReadV1 reads a prometheus.WriteRequest.
func ReadV1(body []byte) (all []remotewrite.Series, err error) {
	err = fields(body, func(f field) error {
		if f.number != 1 {
			return nil
		}
		s, err := seriesV1(f.bytes)
		all = append(all, s)
		return err
	})
	return all, err
}

func seriesV1(b []byte) (s remotewrite.Series, err error) {
	err = fields(b, func(f field) error {
		switch f.number {
		case 1:
			var texts [3]string
			err := fields(f.bytes, func(f field) error {
				if f.number < 3 {
					texts[f.number] = string(f.bytes)
				}
				return nil
			})
			s.Labels = append(s.Labels, remotewrite.Label{Name: texts[1], Value: texts[2]})
			return err
		case 2:
			return sample(&s, f.bytes)
		case 3:
			var e remotewrite.Exemplar
			err := fields(f.bytes, func(f field) (err error) {
				if f.number != 1 {
					exemplar(&e, f)
					return nil
				}
				var texts [3]string
				err = fields(f.bytes, func(f field) error {
					if f.number < 3 {
						texts[f.number] = string(f.bytes)
					}
					return nil
				})
				e.Labels = append(e.Labels, remotewrite.Label{Name: texts[1], Value: texts[2]})
				return err
			})
			s.Exemplars = append(s.Exemplars, e)
			return err
		case 4:
			return histogram(&s, f.bytes)
		}
		return nil
	})
	return s, err
}

// ReadV2 reads an io.prometheus.write.v2.Request.
func ReadV2(body []byte) (all []remotewrite.Series, err error) {
	var symbols []string
	err = fields(body, func(f field) error {
		if f.number == 4 {
			symbols = append(symbols, string(f.bytes))
		}
		return nil
	})
	if err == nil && (len(symbols) == 0 || symbols[0] != "") {
		err = errors.New("the first symbol is not empty")
	}
	if err != nil {
		return nil, err
	}
	err = fields(body, func(f field) error {
		if f.number != 5 {
			return nil
		}
		s, err := seriesV2(f.bytes, symbols)
		all = append(all, s)
		return err
	})
	return all, err
}

func seriesV2(b []byte, symbols []string) (s remotewrite.Series, err error) {
	err = fields(b, func(f field) error {
		switch f.number {
		case 1:
			texts, err := lookUp(f.bytes, symbols)
			for i := 0; i+1 < len(texts); i += 2 {
				s.Labels = append(s.Labels, remotewrite.Label{Name: texts[i], Value: texts[i+1]})
			}
			if len(texts)%2 != 0 {
				err = errors.New("a label without a value")
			}
			return err
		case 2:
			return sample(&s, f.bytes)
		case 3:
			return histogram(&s, f.bytes)
		case 4:
			var e remotewrite.Exemplar
			err := fields(f.bytes, func(f field) error {
				if f.number != 1 {
					exemplar(&e, f)
					return nil
				}
				texts, err := lookUp(f.bytes, symbols)
				for i := 0; i+1 < len(texts); i += 2 {
					e.Labels = append(e.Labels, remotewrite.Label{Name: texts[i], Value: texts[i+1]})
				}
				return err
			})
			s.Exemplars = append(s.Exemplars, e)
			return err
		case 5:
			return fields(f.bytes, func(f field) error {
				switch f.number {
				case 1:
					s.Type = remotewrite.Type(f.value)
				case 3:
					if f.value >= uint64(len(symbols)) {
						return errors.New("help is no symbol")
					}
					s.Help = symbols[f.value]
				}
				return nil
			})
		}
		return nil
	})
	return s, err
}

// lookUp returns the symbols of a packed list of references.
func lookUp(refs []byte, symbols []string) (texts []string, err error) {
	for len(refs) > 0 {
		ref, n := binary.Uvarint(refs)
		if n <= 0 || ref >= uint64(len(symbols)) {
			return nil, errors.New("a label is no symbol")
		}
		texts, refs = append(texts, symbols[ref]), refs[n:]
	}
	return texts, nil
}

func sample(s *remotewrite.Series, b []byte) error {
	var x remotewrite.Sample
	err := fields(b, func(f field) error {
		switch f.number {
		case 1:
			x.Value = math.Float64frombits(f.value)
		case 2:
			x.Time = int64(f.value)
		case 3:
			s.Start = int64(f.value)
		}
		return nil
	})
	s.Samples = append(s.Samples, x)
	return err
}

// exemplar takes what both versions have of an exemplar, beside its labels.
func exemplar(e *remotewrite.Exemplar, f field) {
	switch f.number {
	case 2:
		e.Value = math.Float64frombits(f.value)
	case 3:
		e.Time = int64(f.value)
	}
}

// histogram takes a native histogram, of integers or floats.
func histogram(s *remotewrite.Series, b []byte) error {
	var h remotewrite.Histogram
	err := fields(b, func(f field) error {
		switch f.number {
		case 1:
			h.Value.Count = float64(f.value)
		case 2:
			h.Value.Count = math.Float64frombits(f.value)
		case 3:
			h.Value.Sum = math.Float64frombits(f.value)
		case 4:
			h.Value.Schema = int32(signed(f.value))
		case 5:
			h.Value.Threshold = math.Float64frombits(f.value)
		case 6:
			h.Value.Zero = float64(f.value)
		case 7:
			h.Value.Zero = math.Float64frombits(f.value)
		case 8, 9, 10:
			return buckets(&h.Value.Negative, f.number-8, f.bytes)
		case 11, 12, 13:
			return buckets(&h.Value.Positive, f.number-11, f.bytes)
		case 15:
			h.Time = int64(f.value)
		case 17:
			s.Start = int64(f.value)
		}
		return nil
	})
	s.Histograms = append(s.Histograms, h)
	return err
}

func signed(n uint64) int64 { return int64(n>>1) ^ -int64(n&1) }

// buckets takes a span, packed deltas, or packed counts.
func buckets(to *native.Buckets, kind uint64, b []byte) error {
	switch kind {
	case 0:
		var s native.Span
		err := fields(b, func(f field) error {
			switch f.number {
			case 1:
				s.Offset = int32(signed(f.value))
			case 2:
				s.Length = uint32(f.value)
			}
			return nil
		})
		to.Spans = append(to.Spans, s)
		return err
	case 1:
		for last := int64(0); len(b) > 0; {
			d, n := binary.Varint(b)
			if n <= 0 {
				return errors.New("a delta is cut off")
			}
			last += d
			to.Counts, b = append(to.Counts, float64(last)), b[n:]
		}
		return nil
	}
	for ; len(b) >= 8; b = b[8:] {
		to.Counts = append(to.Counts, math.Float64frombits(binary.LittleEndian.Uint64(b)))
	}
	if len(b) > 0 {
		return errors.New("a count is cut off")
	}
	return nil
}

// field is one field of a message: bytes, or a value.
type field struct {
	number uint64
	value  uint64
	bytes  []byte
}

// fields visits the fields of a message.
func fields(b []byte, visit func(field) error) error {
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 {
			return errors.New("no field begins like this")
		}
		b = b[n:]
		f := field{number: tag >> 3}
		switch tag & 7 {
		case 0:
			if f.value, n = binary.Uvarint(b); n <= 0 {
				return errors.New("a number is cut off")
			}
			b = b[n:]
		case 1:
			if len(b) < 8 {
				return errors.New("a float is cut off")
			}
			f.value, b = binary.LittleEndian.Uint64(b), b[8:]
		case 2:
			size, n := binary.Uvarint(b)
			if n <= 0 || size > uint64(len(b)-n) {
				return errors.New("a text is cut off")
			}
			f.bytes, b = b[n:n+int(size)], b[n+int(size):]
		default:
			return fmt.Errorf("a field of type %d", tag&7)
		}
		if err := visit(f); err != nil {
			return err
		}
	}
	return nil
}
