package clean

import (
	"fmt"
	"math"
	"time"

	mortise "github.com/mortise-dev/mortise"
)

const (
	// earliestMS is 1971-01-01: a present time that is read in too coarse a unit
	// lands in 1970.
	earliestMS = 365 * 24 * 3600 * 1000
	// latestMS is the end of 2199: a present time that is read in too fine a unit
	// lands far behind it. What else lies ahead of the wall clock is judged by who
	// takes events in, for that judgement has to be remembered.
	latestMS = 7258118400000 - 1
)

// timeUnit is how a source spells its event time.
type timeUnit uint8

const (
	unitSeconds timeUnit = iota
	unitMillis
	unitMicros
	unitNanos
	unitRFC3339
	numUnits
)

var unitNames = [numUnits]string{"s", "ms", "us", "ns", "rfc3339"}

func parseUnit(name string) (timeUnit, error) {
	for u, n := range unitNames {
		if n == name {
			return timeUnit(u), nil
		}
	}
	return 0, fmt.Errorf("unknown unit %q of event time: write s, ms, us, ns or rfc3339", name)
}

// read converts a number or a string's content to ms UTC. What is finer than a
// millisecond is cut off; false is for another spelling, and for what does not
// fit an int64 of ms.
func (u timeUnit) read(kind tokenKind, text []byte) (ms int64, ok bool) {
	switch {
	case u == unitRFC3339:
		if kind&kindMask != tokenString {
			return 0, false
		}
		return parseRFC3339(text)
	case kind&kindMask != tokenNumber:
		return 0, false
	case u == unitSeconds:
		return parseSeconds(text)
	case kind&flagInteger == 0:
		return 0, false
	}
	n, ok := parseInt(text)
	switch u {
	case unitMicros:
		n /= 1000
	case unitNanos:
		n /= 1_000_000
	}
	return n, ok
}

// clock reads event times and refuses absurd ones. One goroutine uses it.
type clock struct {
	unit timeUnit
}

// read returns a record's event time in ms UTC. The field's token and text are
// as the scanner and unescaping gave them.
func (c *clock) read(field string, t token, text []byte) (int64, *mortise.RecordError) {
	ms, ok := c.unit.read(t.kind, text)
	if ok && allows(ms) {
		return ms, nil
	}
	fault := &mortise.RecordError{Reason: mortise.ReasonBadTime, Field: field}
	switch kind := t.kind & kindMask; {
	case kind == absent:
		fault.Detail = "event time is missing"
	case kind == tokenNull:
		fault.Detail = "event time is null"
	case ok:
		fault.Detail = c.absurd(ms, string(text)) + c.hint(t.kind, text)
	case c.unit == unitRFC3339:
		fault.Detail = fmt.Sprintf("%s is not an RFC 3339 time such as \"2019-11-24T00:01:03.979Z\"%s", quoted(t.kind, text), c.hint(t.kind, text))
	case c.unit == unitSeconds:
		fault.Detail = fmt.Sprintf("%s is not a number of seconds that fits 64 bits%s", quoted(t.kind, text), c.hint(t.kind, text))
	default:
		fault.Detail = fmt.Sprintf("%s is not an integer of %s that fits 64 bits%s", quoted(t.kind, text), unitNames[c.unit], c.hint(t.kind, text))
	}
	return 0, fault
}

// allows reports whether ms lies between 1971 and 2199.
func allows(ms int64) bool { return ms >= earliestMS && ms <= latestMS }

// outside says on which side of what allows allows ms lies.
func outside(ms int64) string {
	if ms > earliestMS {
		return "after 2199"
	}
	return "before 1971"
}

func (c *clock) absurd(ms int64, text string) string {
	bound := outside(ms)
	if c.unit == unitRFC3339 {
		return fmt.Sprintf("%s is %s", text, bound)
	}
	return fmt.Sprintf("%s in unit %s is %s, %s", text, unitNames[c.unit], display(ms), bound)
}

// hint names the unit in which the value would make sense.
func (c *clock) hint(kind tokenKind, text []byte) string {
	for u := range numUnits {
		if ms, ok := u.read(kind, text); ok && u != c.unit && allows(ms) {
			return fmt.Sprintf("; in unit %s it would be %s", unitNames[u], display(ms))
		}
	}
	if kind&kindMask == tokenString && len(text) > 0 && number(text) >= 0 {
		return "; it is a number in quotes"
	}
	return ""
}

func display(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }

// quoted shows a value as the record spells it.
func quoted(kind tokenKind, text []byte) string {
	if kind&kindMask == tokenString {
		return fmt.Sprintf("%q", excerpt(text))
	}
	return excerpt(text)
}

// parseInt reads a JSON integer literal; false if it does not fit an int64.
func parseInt(text []byte) (int64, bool) {
	negative := text[0] == '-'
	if negative {
		text = text[1:]
	}
	if len(text) > 19 {
		return 0, false
	}
	n := uint64(0)
	for _, c := range text {
		n = n*10 + uint64(c-'0') // 19 digits fit a uint64
	}
	if negative {
		return -int64(n), n <= 1<<63
	}
	return int64(n), n <= math.MaxInt64
}

// parseSeconds reads a JSON number of seconds as ms, exactly, whatever its
// spelling: 1574553663, 1574553663.979, 1.574553663979E9.
func parseSeconds(text []byte) (ms int64, ok bool) {
	const mostDigits = 18 // more than the ms of any allowed time
	mantissa, shift, used, point := int64(0), 3, 0, false
	negative := len(text) > 0 && text[0] == '-'
	i := 0
	if negative {
		i = 1
	}
	for ; i < len(text) && (text[i] == '.' || text[i]-'0' <= 9); i++ {
		switch {
		case text[i] == '.':
			point = true
		case used < mostDigits:
			mantissa = mantissa*10 + int64(text[i]-'0')
			if mantissa > 0 {
				used++
			}
			if point {
				shift--
			}
		case !point:
			shift++
		}
	}
	if i < len(text) && text[i]|0x20 == 'e' {
		shift += exponent(text[i+1:])
	}
	for ; shift > 0 && mantissa != 0; shift-- {
		if mantissa > math.MaxInt64/10 {
			return 0, false
		}
		mantissa *= 10
	}
	for ; shift < 0 && mantissa != 0; shift++ {
		mantissa /= 10
	}
	if negative {
		mantissa = -mantissa
	}
	return mantissa, true
}

// exponent reads the digits after an `e`, bounded to what makes a difference.
func exponent(text []byte) (n int) {
	sign := 1
	for _, c := range text {
		switch {
		case c == '-':
			sign = -1
		case c != '+' && n < 1_000_000:
			n = n*10 + int(c-'0')
		}
	}
	return sign * n
}
