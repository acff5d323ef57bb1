package clean

// parseRFC3339 reads a time such as 2019-11-24T00:01:03.979Z or
// 2019-11-24T09:01:03+09:00 as ms UTC, in the strict form;
// what is finer than a millisecond is cut off. It does not allocate.
func parseRFC3339(text []byte) (ms int64, ok bool) {
	if len(text) < len("2006-01-02T15:04:05Z") {
		return 0, false
	}
	year, month, day := number(text[0:4]), number(text[5:7]), number(text[8:10])
	hour, minute, second := number(text[11:13]), number(text[14:16]), number(text[17:19])
	switch {
	case text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' || text[16] != ':',
		year < 0, month < 1, month > 12, day < 1, day > daysIn(year, month),
		hour < 0, hour > 23, minute < 0, minute > 59, second < 0, second > 59:
		return 0, false
	}
	frac, rest, ok := fraction(text[19:])
	if !ok {
		return 0, false
	}
	offset, ok := zone(rest)
	if !ok {
		return 0, false
	}
	return ((daysSince1970(year, month, day)*24+hour)*60+minute-offset)*60_000 + second*1000 + frac, true
}

// number reads decimal digits; -1 if there is anything else.
func number(digits []byte) (n int64) {
	for _, c := range digits {
		if c -= '0'; c > 9 {
			return -1
		}
		n = n*10 + int64(c)
	}
	return n
}

// fraction reads an optional fraction of a second as ms.
func fraction(text []byte) (ms int64, rest []byte, ok bool) {
	if text[0] != '.' {
		return 0, text, true
	}
	end := 1
	for scale := int64(100); end < len(text) && text[end]-'0' <= 9; end++ {
		ms += int64(text[end]-'0') * scale
		scale /= 10
	}
	return ms, text[end:], end > 1 && end < len(text)
}

// zone reads Z or an offset from UTC as minutes.
func zone(text []byte) (minutes int64, ok bool) {
	if len(text) == 1 {
		return 0, text[0] == 'Z'
	}
	if len(text) != len("+09:00") || text[3] != ':' || text[0] != '+' && text[0] != '-' {
		return 0, false
	}
	hour, minute := number(text[1:3]), number(text[4:6])
	if hour < 0 || hour > 23 || minute < 0 || minute > 59 {
		return 0, false
	}
	if minutes = hour*60 + minute; text[0] == '-' {
		minutes = -minutes
	}
	return minutes, true
}

func daysIn(year, month int64) int64 {
	if month == 2 {
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 30 + (month+month>>3)&1
}

// daysSince1970 counts days in the proleptic Gregorian calendar, in years that
// start in March (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms",
// days_from_civil).
func daysSince1970(year, month, day int64) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	era := year / 400
	if year < 0 {
		era = -1 // only the year -1: January and February of year 0
	}
	yoe := year - era*400
	doe := yoe*365 + yoe/4 - yoe/100 + (153*(month-3)+2)/5 + day - 1
	return era*146_097 + doe - 719_468
}
