//go:build !amd64

package severity

import "github.com/weirlog/weir/internal/record"

func fromWords(line []byte) record.Level { return fromPairs(line) }
