package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// whole writes a count with commas.
func whole(n int64) string {
	text := strconv.FormatInt(n, 10)
	start := len(text) % 3
	if n < 0 {
		start = (len(text)-1)%3 + 1
	}
	var b strings.Builder
	for i, c := range text {
		if i > 0 && (i-start)%3 == 0 && text[i-1] != '-' {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// percent writes a share, with as many digits as it needs to be told from 0 and 1.
func percent(part, of int64) string {
	if of == 0 {
		return "–"
	}
	return percentage(float64(part) / float64(of))
}

func percentage(share float64) string {
	p := 100 * share
	switch {
	case p == 0 || p == 100:
		return fmt.Sprintf("%.0f %%", p)
	case p < 0.01:
		return "< 0.01 %"
	case p > 99.99:
		return "> 99.99 %"
	case p < 1 || p > 99:
		return fmt.Sprintf("%.2f %%", p)
	}
	return fmt.Sprintf("%.1f %%", p)
}

// axisPercent writes a share beside an axis, where they are round.
func axisPercent(share float64) string {
	return strconv.FormatFloat(math.Round(share*1e8)/1e6, 'g', -1, 64) + " %"
}

// clock writes an event time, UTC.
func clock(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02 15:04:05") }

// duration writes a time span in the one or two units that matter.
func duration(ms int64) string {
	if ms < 0 {
		return "−" + duration(-ms)
	}
	units := []struct {
		name string
		ms   int64
	}{{"d", 86_400_000}, {"h", 3_600_000}, {"m", 60_000}, {"s", 1000}, {"ms", 1}}
	for i, u := range units {
		if ms < u.ms {
			continue
		}
		text := fmt.Sprintf("%d %s", ms/u.ms, unitName(u.name))
		if u.name == "s" && ms < 10_000 && ms%1000 >= 100 {
			return fmt.Sprintf("%.1f s", float64(ms)/1000)
		}
		if i+1 < len(units) && u.name != "s" && ms/u.ms < 10 {
			if rest := ms % u.ms / units[i+1].ms; rest > 0 {
				text += fmt.Sprintf(" %d %s", rest, unitName(units[i+1].name))
			}
		}
		return text
	}
	return "0 s"
}

func unitName(u string) string {
	if u == "m" {
		return "min"
	}
	return u
}

// number writes a number with about four digits.
func number(v float64) string {
	switch abs := math.Abs(v); {
	case v == math.Trunc(v) && abs < 1e7:
		return whole(int64(v))
	case abs >= 1e7 || abs < 1e-3:
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}
