package logfile

import (
	"regexp"
	"time"
)

// timeBytes is how far into a line its time is looked for.
const timeBytes = 512

// times are the forms of times in lines: ISO 8601 and RFC 3339, also with a space, with
// slashes as in nginx's error log, and without a zone; the common log format; syslog.
var times = regexp.MustCompile(
	`(\d{4}[-/]\d\d[-/]\d\d)[T _](\d\d:\d\d:\d\d)(?:[.,]\d+)?(?: ?(Z|[-+]\d\d:?\d\d))?` +
		`|(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [-+]\d{4})` +
		`|\b([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d)\b`)

// lineTime returns the first time in a line, in whole seconds. A time without a zone is
// local; one without a year is in the year before now.
func lineTime(line []byte, now time.Time) (int64, bool) {
	m := times.FindSubmatch(line[:min(len(line), timeBytes)])
	if m == nil {
		return 0, false
	}
	var at time.Time
	var err error
	switch {
	case m[1] != nil:
		day := string(m[1])
		day = day[:4] + "-" + day[5:7] + "-" + day[8:]
		zone := string(m[3])
		if len(zone) == len("+0000") {
			zone = zone[:3] + ":" + zone[3:]
		}
		if zone == "" {
			at, err = time.ParseInLocation("2006-01-02 15:04:05", day+" "+string(m[2]), now.Location())
		} else {
			at, err = time.Parse("2006-01-02 15:04:05Z07:00", day+" "+string(m[2])+zone)
		}
	case m[4] != nil:
		at, err = time.Parse("02/Jan/2006:15:04:05 -0700", string(m[4]))
	default:
		at, err = time.ParseInLocation("Jan _2 15:04:05", string(m[5]), now.Location())
		at = at.AddDate(now.Year(), 0, 0)
		if at.After(now.AddDate(0, 0, 1)) {
			at = at.AddDate(-1, 0, 0)
		}
	}
	if err != nil {
		return 0, false
	}
	return at.UnixNano(), true
}
