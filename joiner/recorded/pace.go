package recorded

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Speed is how fast recorded time passes: 1 as it once did, 60 a minute in a
// second, Max without waiting.
type Speed float64

// Max does not wait at all.
const Max Speed = 0

// ParseSpeed reads "max", or a number above 0 with "x" behind it: "60x", "0.5x".
func ParseSpeed(text string) (Speed, error) {
	if text == "max" {
		return Max, nil
	}
	number, ok := strings.CutSuffix(text, "x")
	v, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || v <= 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return 0, fmt.Errorf("speed %q: want max, or a multiple of real time such as 60x", text)
	}
	return Speed(v), nil
}

// String returns what ParseSpeed reads.
func (s Speed) String() string {
	if s == Max {
		return "max"
	}
	return strconv.FormatFloat(float64(s), 'g', -1, 64) + "x"
}

// Clock is the wall clock that a Pacer waits by.
type Clock interface {
	Now() time.Time
	// Sleep returns ctx's error when ctx ends before d has passed.
	Sleep(ctx context.Context, d time.Duration) error
}

// SystemClock is the machine's clock.
type SystemClock struct{}

// Now implements Clock.
func (SystemClock) Now() time.Time { return time.Now() }

// Sleep implements Clock.
func (SystemClock) Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// minSleep is what it does not pay to sleep for; events that are due within it
// go out together.
const minSleep = time.Millisecond

// Pacer lets events pass at the times at which they are due. Time begins with
// the first of them; an event that is earlier than those before it passes at
// once. One goroutine uses it.
type Pacer struct {
	speed   Speed
	clock   Clock
	begun   bool
	firstMS int64
	first   time.Time
}

// Pace returns a Pacer by clock.
func Pace(speed Speed, clock Clock) *Pacer { return &Pacer{speed: speed, clock: clock} }

// Wait returns when an event with event time timeMS is due, or with ctx's error.
// Events without a time of their own are not to be waited for.
func (p *Pacer) Wait(ctx context.Context, timeMS int64) error {
	if p.speed == Max {
		return ctx.Err()
	}
	if !p.begun {
		p.begun, p.firstMS, p.first = true, timeMS, p.clock.Now()
	}
	due := (float64(timeMS) - float64(p.firstMS)) / float64(p.speed) * float64(time.Millisecond)
	d := time.Duration(min(due, math.MaxInt64/2)) - p.clock.Now().Sub(p.first)
	if d < minSleep {
		return ctx.Err()
	}
	return p.clock.Sleep(ctx, d)
}
