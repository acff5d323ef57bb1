package spec

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	mortise "github.com/mortise-dev/mortise"
)

// These read what the shape has checked; nil gives the default.

func (n *node) duration(def time.Duration) time.Duration {
	if n == nil {
		return def
	}
	d, err := mortise.ParseDuration(n.text)
	if err != nil {
		return def
	}
	return d
}

func (n *node) bool(def bool) bool {
	if n == nil {
		return def
	}
	return n.text == "true"
}

func (n *node) int(def int64) int64 {
	if n == nil {
		return def
	}
	v, err := strconv.ParseInt(n.text, 10, 64)
	if err != nil {
		return def
	}
	return v
}

func (n *node) float(def float64) float64 {
	if n == nil {
		return def
	}
	v, err := strconv.ParseFloat(n.text, 64)
	if err != nil {
		return def
	}
	return v
}

func (n *node) size(def int64) int64 {
	if n == nil {
		return def
	}
	v, err := ParseSize(n.text)
	if err != nil {
		return def
	}
	return v
}

var sizeUnits = []struct {
	suffix string
	bytes  int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1},
}

// ParseSize reads 128MB, 64KiB or a plain number of bytes: more than 0, at most
// 1 TB.
func ParseSize(s string) (int64, error) {
	text, unit := strings.TrimSpace(s), int64(1)
	for _, u := range sizeUnits {
		if head, ok := strings.CutSuffix(text, u.suffix); ok {
			text, unit = strings.TrimSpace(head), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 || n > 1e12/unit {
		return 0, fmt.Errorf("%q is not a size", s)
	}
	return n * unit, nil
}
