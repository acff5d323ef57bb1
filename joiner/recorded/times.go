package recorded

import (
	"math"
	"strconv"
	"time"

	mortise "github.com/mortise-dev/mortise"
)

const nanosPerSecond = 1_000_000_000

// AppendTime appends a time as the member's field is written: as an integer of
// the event time's unit or of ms, as a number of seconds, or as RFC 3339 text.
// The time is seconds since 1970 UTC, and 0 to 999,999,999 ns on top. What is
// finer than the unit is cut off, towards the past.
func (m *Member) AppendTime(dst []byte, seconds, nanos int64) []byte {
	switch {
	case m.Type.Kind == mortise.String || m.TimeUnit == "rfc3339":
		dst = time.Unix(seconds, nanos).UTC().AppendFormat(append(dst, '"'), time.RFC3339Nano)
		return append(dst, '"')
	case m.TimeUnit == "s":
		return appendSeconds(dst, seconds, nanos, m.Type.Kind == mortise.Int)
	case m.TimeUnit == "us":
		return appendScaled(dst, seconds, nanos, 1_000_000)
	case m.TimeUnit == "ns":
		return appendScaled(dst, seconds, nanos, nanosPerSecond)
	}
	return appendScaled(dst, seconds, nanos, 1000)
}

// appendScaled appends a time in units of which perSecond are a second.
func appendScaled(dst []byte, seconds, nanos, perSecond int64) []byte {
	if most := math.MaxInt64/perSecond - 1; seconds > most || seconds < -most {
		// No int64 holds it. A longer number makes readers refuse the record.
		dst = strconv.AppendInt(dst, seconds, 10)
		for ; perSecond > 1; perSecond /= 10 {
			dst = append(dst, '0')
		}
		return dst
	}
	return strconv.AppendInt(dst, seconds*perSecond+nanos/(nanosPerSecond/perSecond), 10)
}

// appendSeconds appends seconds, with the fraction that there is unless whole.
func appendSeconds(dst []byte, seconds, nanos int64, whole bool) []byte {
	if whole || nanos == 0 {
		return strconv.AppendInt(dst, seconds, 10)
	}
	if seconds < 0 { // -1.5 came as -2 and 0.5
		seconds, nanos = seconds+1, nanosPerSecond-nanos
		if seconds == 0 {
			dst = append(dst, '-')
		}
	}
	dst = append(strconv.AppendInt(dst, seconds, 10), '.')
	for scale := int64(nanosPerSecond / 10); nanos > 0; scale /= 10 {
		dst = append(dst, byte('0'+nanos/scale))
		nanos %= scale
	}
	return dst
}

// parseTime reads a date, or a date and a time as databases, data frames and
// RFC 3339 write them: 2019-11-24, 2019-11-24 00:01:03.979+09,
// 2019-11-24T00:01:03Z. Without a zone it is UTC.
func parseTime(text []byte) (seconds, nanos int64, ok bool) {
	if len(text) < len("2006-01-02") || text[4] != '-' || text[7] != '-' {
		return 0, 0, false
	}
	year, month, day := digits(text[0:4]), digits(text[5:7]), digits(text[8:10])
	if year < 0 || month < 1 || month > 12 || day < 1 {
		return 0, 0, false
	}
	date := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	if date.Day() != day {
		return 0, 0, false // the 30th of February
	}
	seconds = date.Unix()
	rest := text[len("2006-01-02"):]
	if len(rest) == 0 {
		return seconds, 0, true
	}
	if len(rest) < len("T15:04") || rest[0] != 'T' && rest[0] != ' ' || rest[3] != ':' {
		return 0, 0, false
	}
	hour, minute := digits(rest[1:3]), digits(rest[4:6])
	if hour < 0 || hour > 23 || minute < 0 || minute > 59 {
		return 0, 0, false
	}
	seconds += int64(hour)*3600 + int64(minute)*60
	rest = rest[len("T15:04"):]
	if len(rest) >= len(":05") && rest[0] == ':' {
		second := digits(rest[1:3])
		if second < 0 || second > 59 {
			return 0, 0, false
		}
		seconds += int64(second)
		if nanos, rest, ok = parseFraction(rest[len(":05"):]); !ok {
			return 0, 0, false
		}
	}
	east, ok := parseZone(rest)
	return seconds - east, nanos, ok
}

// parseFraction reads an optional fraction of a second; what is finer than a ns
// is cut off.
func parseFraction(text []byte) (nanos int64, rest []byte, ok bool) {
	if len(text) == 0 || text[0] != '.' {
		return 0, text, true
	}
	end := 1
	for scale := int64(nanosPerSecond / 10); end < len(text) && text[end]-'0' <= 9; end++ {
		nanos += int64(text[end]-'0') * scale
		scale /= 10
	}
	return nanos, text[end:], end > 1
}

// parseZone reads nothing, Z, UTC, +09, +0900 or +09:00 as seconds east of UTC.
func parseZone(text []byte) (east int64, ok bool) {
	if len(text) > 0 && text[0] == ' ' {
		text = text[1:]
	}
	if s := string(text); s == "" || s == "Z" || s == "UTC" {
		return 0, true
	}
	if len(text) == len("+09:00") && text[3] == ':' {
		text = append(append(make([]byte, 0, 5), text[:3]...), text[4:]...)
	}
	if len(text) != len("+09") && len(text) != len("+0900") || text[0] != '+' && text[0] != '-' {
		return 0, false
	}
	hour, minute := digits(text[1:3]), 0
	if len(text) > 3 {
		minute = digits(text[3:5])
	}
	if hour < 0 || hour > 23 || minute < 0 || minute > 59 {
		return 0, false
	}
	east = int64(hour)*3600 + int64(minute)*60
	if text[0] == '-' {
		east = -east
	}
	return east, true
}

// digits reads decimal digits; -1 if there is anything else.
func digits(text []byte) (n int) {
	for _, c := range text {
		if c -= '0'; c > 9 {
			return -1
		}
		n = n*10 + int(c)
	}
	return n
}
