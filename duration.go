package mortise

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseDuration reads a Go duration that may also use days: `90s`, `1h30m`,
// `7d`, `1d12h`. Days are 24 hours.
func ParseDuration(s string) (time.Duration, error) {
	text := strings.TrimSpace(s)
	head, tail, hasDays := strings.Cut(text, "d")
	if !hasDays {
		d, err := time.ParseDuration(text)
		if err != nil {
			return 0, fmt.Errorf("duration %q: write a number and a unit (ms, s, m, h, d), such as 90s, 1h30m or 7d", s)
		}
		return d, nil
	}
	days, err := strconv.ParseFloat(head, 64)
	var rest time.Duration
	if err == nil && tail != "" {
		rest, err = time.ParseDuration(tail)
	}
	if err != nil || days*24*float64(time.Hour)+float64(rest) > float64(1<<62) || days < 0 || rest < 0 {
		return 0, fmt.Errorf("duration %q: write a number and a unit (ms, s, m, h, d), such as 90s, 1h30m or 7d", s)
	}
	return time.Duration(days*24*float64(time.Hour)) + rest, nil
}

// FormatDuration writes d the way that files do, in the largest units that are
// whole: 1h, 1d12h, 1m30s, 250ms. ParseDuration reads it back.
func FormatDuration(d time.Duration) string {
	days := d / (24 * time.Hour)
	rest := d - days*24*time.Hour
	text := ""
	if days != 0 {
		text = strconv.FormatInt(int64(days), 10) + "d"
	}
	if rest == 0 && days != 0 {
		return text
	}
	clock := rest.String()
	for _, tail := range []string{"m0s", "h0m"} { // 1h0m0s, but neither 10s nor 20m
		if strings.HasSuffix(clock, tail) {
			clock = clock[:len(clock)-2]
		}
	}
	return text + clock
}
