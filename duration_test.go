package mortise

import (
	"testing"
	"time"
)

func TestFormatDuration(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0s": 0, "10s": 10 * time.Second, "20m": 20 * time.Minute, "1h": time.Hour, "4d4h": 100 * time.Hour, "1m30s": 90 * time.Second,
		"1d": 24 * time.Hour, "1d12h": 36 * time.Hour, "30d1ms": 30*24*time.Hour + time.Millisecond, "10h20m": 10*time.Hour + 20*time.Minute,
		"250ms": 250 * time.Millisecond, "-5m": -5 * time.Minute,
	} {
		if got := FormatDuration(d); got != want {
			t.Errorf("%d is written %s, want %s", d, got, want)
		}
		if back, err := ParseDuration(want); err != nil || back != d {
			t.Errorf("%s is read as %v, %v", want, back, err)
		}
	}
}
