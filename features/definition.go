package features

import (
	"fmt"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/internal/expression"
)

// Bounds of a feature's window. Tiles are what is stored and what a read has to
// merge, so their number per window is bounded as well.
const (
	MinTile           = time.Second
	MaxWindow         = 2 * 366 * 24 * time.Hour
	MaxTilesPerWindow = 100_000
	DefaultTile       = time.Minute
)

// Definition is one declared feature: an aggregation over a source, or an
// expression over other features, main fields and dimension fields.
type Definition struct {
	Name string
	Type mortise.Type // of the feature's value

	// An aggregation.
	Source    string
	Entity    []string // fields of both the source and the main source, of one type
	Aggregate Aggregate
	Where     *expression.Program // over the source's row; nil takes every event
	Window    time.Duration       // a multiple of Tile
	Tile      time.Duration

	// An expression; nil for an aggregation.
	Expr *expression.Program
}

// IsExpr reports whether the feature is computed from others rather than kept.
func (d *Definition) IsExpr() bool { return d.Expr != nil }

// CheckTile reports what is wrong with a tile's length, or nil.
func CheckTile(tile time.Duration) error {
	switch {
	case tile < MinTile:
		return fmt.Errorf("the tile %s is shorter than %s", short(tile), short(MinTile))
	case tile > MaxWindow:
		return fmt.Errorf("the tile %s is longer than the longest window, %s", short(tile), short(MaxWindow))
	case tile%time.Millisecond != 0:
		return fmt.Errorf("the tile %s is not a whole number of milliseconds", short(tile))
	}
	return nil
}

// CheckWindow reports what is wrong with a window of good tiles, or nil.
func CheckWindow(window, tile time.Duration) error {
	switch {
	case window < tile:
		return fmt.Errorf("the window %s is shorter than its tile, %s", short(window), short(tile))
	case window > MaxWindow:
		return fmt.Errorf("the window %s is longer than %s", short(window), short(MaxWindow))
	case window%tile != 0:
		return fmt.Errorf("the window %s is not a multiple of its tile, %s: %s or %s would be", short(window), short(tile), short(window/tile*tile), short((window/tile+1)*tile))
	case window/tile > MaxTilesPerWindow:
		return fmt.Errorf("the window %s has %d tiles of %s; the limit is %d: use a longer tile", short(window), window/tile, short(tile), MaxTilesPerWindow)
	}
	return nil
}

func short(d time.Duration) string { return mortise.FormatDuration(d) }

// CheckHalfLife reports what is wrong with a decayed sum over good tiles, or nil.
// The sum is kept without rounding in as many bits as there are half-lives in a
// window, and read as of a tile's start: a half-life within a tile would ask for
// more than that can tell.
func CheckHalfLife(a *Aggregate, tile time.Duration) error {
	if a.HalfLife != 0 && a.HalfLife < tile {
		return fmt.Errorf("the half-life %s is shorter than the tile, %s", short(a.HalfLife), short(tile))
	}
	return nil
}
