package metric

import (
	"mime"
	"strconv"
	"strings"
)

// Negotiate returns the format that an Accept header likes best. Text is what everything
// reads: it is the answer to an empty header, to wildcards and to what we do not speak.
func Negotiate(accept string) Format {
	best := [3]float64{} // the quality of each format
	for part := range strings.SplitSeq(accept, ",") {
		media, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		q := quality(params["q"])
		version := params["version"]
		switch media {
		case protoMedia:
			if params["proto"] == protoMessage && params["encoding"] == protoEncoding {
				best[Proto] = max(best[Proto], q)
			}
		case "application/openmetrics-text":
			// 0.0.1 is a draft that 1.0.0 satisfies, and what older scrapers ask for.
			if version == "" || version == "0.0.1" || strings.HasPrefix(version, "1.") {
				best[OpenMetrics] = max(best[OpenMetrics], q)
			}
		case "text/plain":
			if version == "" || version == "0.0.4" {
				best[Text] = max(best[Text], q)
			}
		}
	}
	liked := Text
	for _, f := range [...]Format{OpenMetrics, Proto} {
		if best[f] > 0 && best[f] >= best[liked] {
			liked = f
		}
	}
	return liked
}

// quality reads a q parameter: 1 when it is missing, 0 when it is not a number of 0 to 1.
func quality(s string) float64 {
	if s == "" {
		return 1
	}
	q, err := strconv.ParseFloat(s, 64)
	if err != nil || !(q >= 0 && q <= 1) {
		return 0
	}
	return q
}
