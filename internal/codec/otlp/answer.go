package otlp

import (
	"math"
	"strconv"

	"github.com/weirlog/weir/internal/codec/jsontext"
	"github.com/weirlog/weir/internal/codec/protobuf"
)

// Partial is what a receiver has refused of a request that it took else. The zero value says
// nothing.
type Partial struct {
	// Rejected is how many records or points.
	Rejected int64
	// Message says why, or warns.
	Message string
}

// The fields of an Export…ServiceResponse and its partial success.
const (
	responsePartial = 1

	partialRejected = 1
	partialMessage  = 2
)

// AppendResponse appends the response to a request.
func AppendResponse(dst []byte, p Partial) []byte {
	if p == (Partial{}) {
		return dst
	}
	dst, at := protobuf.Open(dst, responsePartial)
	if p.Rejected != 0 {
		dst = protobuf.AppendNumber(dst, partialRejected, uint64(p.Rejected))
	}
	if p.Message != "" {
		dst = protobuf.AppendText(dst, partialMessage, p.Message)
	}
	return protobuf.Close(dst, at)
}

// AppendJSONResponse appends the same as JSON, to a request of logs or metrics.
func AppendJSONResponse(dst []byte, what Request, p Partial) []byte {
	if p == (Partial{}) {
		return append(dst, "{}"...)
	}
	key := "rejectedLogRecords"
	if what == Metrics {
		key = "rejectedDataPoints"
	}
	dst = append(append(append(dst, `{"partialSuccess":{"`...), key...), `":"`...)
	dst = strconv.AppendInt(dst, p.Rejected, 10)
	dst = appendText(append(dst, `","errorMessage":`...), []byte(p.Message))
	return append(dst, "}}"...)
}

// ParseResponse reads a response.
func ParseResponse(body []byte) (p Partial, err error) {
	r := protobuf.NewReader(body)
	for r.Next() {
		if r.Number != responsePartial {
			continue
		}
		m := r.Message()
		for m.Next() {
			switch m.Number {
			case partialRejected:
				p.Rejected = int64(m.Value)
			case partialMessage:
				p.Message = string(m.Bytes)
			}
		}
		if err := m.Err(); err != nil {
			return p, err
		}
	}
	return p, r.Err()
}

// Status is a google.rpc.Status, by which a request is refused.
type Status struct {
	Code    int32
	Message string
	// RetryAfter is in seconds; zero: nothing is said of it.
	RetryAfter float64
}

// The fields of Status, Any, RetryInfo and Duration.
const (
	statusCode    = 1
	statusMessage = 2
	statusDetails = 3

	anyType  = 1
	anyBytes = 2

	retryDelay      = 1
	durationSeconds = 1
	durationNanos   = 2
)

const retryInfo = "type.googleapis.com/google.rpc.RetryInfo"

// AppendStatus appends s as protobuf.
func AppendStatus(dst []byte, s Status) []byte {
	if s.Code != 0 {
		dst = protobuf.AppendNumber(dst, statusCode, uint64(s.Code))
	}
	if s.Message != "" {
		dst = protobuf.AppendText(dst, statusMessage, s.Message)
	}
	if s.RetryAfter <= 0 {
		return dst
	}
	dst, details := protobuf.Open(dst, statusDetails)
	dst = protobuf.AppendText(dst, anyType, retryInfo)
	dst, value := protobuf.Open(dst, anyBytes)
	dst, delay := protobuf.Open(dst, retryDelay)
	whole, rest := math.Modf(s.RetryAfter)
	dst = protobuf.AppendNumber(dst, durationSeconds, uint64(whole))
	dst = protobuf.AppendNumber(dst, durationNanos, uint64(rest*1e9))
	dst = protobuf.Close(dst, delay)
	dst = protobuf.Close(dst, value)
	return protobuf.Close(dst, details)
}

// AppendJSONStatus appends code and message of s as JSON.
func AppendJSONStatus(dst []byte, s Status) []byte {
	dst = strconv.AppendInt(append(dst, `{"code":`...), int64(s.Code), 10)
	return append(appendText(append(dst, `,"message":`...), []byte(s.Message)), '}')
}

// ParseStatus reads a status of protobuf. What it does not understand it passes over.
func ParseStatus(body []byte) (s Status, ok bool) {
	r := protobuf.NewReader(body)
	for r.Next() {
		switch r.Number {
		case statusCode:
			s.Code = int32(r.Value)
		case statusMessage:
			s.Message = string(r.Bytes)
		case statusDetails:
			if after := parseRetry(r.Message()); after > 0 {
				s.RetryAfter = after
			}
		}
	}
	return s, r.Err() == nil
}

// ParseJSONMessage returns the message of a status of JSON.
func ParseJSONMessage(body []byte) string {
	s := jsontext.Scanner{Text: body}
	if s.Space(); !s.Take('{') {
		return ""
	}
	for s.Space(); s.Take('"'); s.Space() {
		key, _, ok := s.Inside()
		if s.Space(); !ok || !s.Take(':') {
			return ""
		}
		s.Space()
		if string(key) == "message" && s.Take('"') {
			inside, _, _ := s.Inside()
			return string(jsontext.Unescape(nil, inside))
		}
		if !s.Skip(maxJSONDepth) {
			return ""
		}
		if s.Space(); !s.Take(',') {
			return ""
		}
	}
	return ""
}

// parseRetry reads the RetryInfo in an Any, in seconds.
func parseRetry(any protobuf.Reader) (seconds float64) {
	is, value := false, protobuf.Reader{}
	for any.Next() {
		switch any.Number {
		case anyType:
			is = string(any.Bytes) == retryInfo
		case anyBytes:
			value = any.Message()
		}
	}
	for is && value.Next() {
		if value.Number != retryDelay {
			continue
		}
		for d := value.Message(); d.Next(); {
			switch d.Number {
			case durationSeconds:
				seconds += float64(int64(d.Value))
			case durationNanos:
				seconds += float64(int64(d.Value)) / 1e9
			}
		}
	}
	return seconds
}
