package features

import (
	"time"
)

// spans are the lengths that coarser tiles have where they fit: what people cut
// time into, so that windows are made of few pieces.
var spans = [...]time.Duration{time.Minute, 10 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour, 32 * 24 * time.Hour, 1024 * 24 * time.Hour}

// Tiles of one level that make up one of the next.
const (
	leastTiles = 8
	mostTiles  = 64
	plainTiles = 32 // where none of spans fits
	worthTiles = 3  // a window reads a level of which at least so many tiles fit into it
	maxLevels  = 8
)

// nextSpan is the length of a tile of the level above one of spanMS: the longest
// of spans that is 8 to 64 of them, otherwise 32 of them.
func nextSpan(spanMS int64) int64 {
	for i := len(spans) - 1; i >= 0; i-- {
		s := spans[i].Milliseconds()
		if n := s / spanMS; s%spanMS == 0 && n >= leastTiles && n <= mostTiles {
			return s
		}
	}
	return spanMS * plainTiles
}

// Levels returns the lengths in ms of the tiles that a feature of the given tile
// and window is kept in, the finest first. Each is a whole number of the one
// before; a chunk holds as many tiles as make up one of the next level.
func Levels(tileMS, windowMS int64) []int64 {
	levels := []int64{tileMS}
	for len(levels) < maxLevels {
		next := nextSpan(levels[len(levels)-1])
		if next*worthTiles > windowMS {
			break
		}
		levels = append(levels, next)
	}
	return levels
}

// piece is a run of tiles of one level, [from, to) in tiles since 1970.
type piece struct {
	level    int
	from, to int64
}

// decompose cuts [fromMS, toMS), which begins and ends with a tile, into runs of
// tiles that fill it exactly: the longest that fit in the middle, ever finer ones
// towards both ends. Of the levels above the finest, only tiles that start at or
// after since[level] are used: earlier ones do not hold everything.
func decompose(dst []piece, levels, since []int64, fromMS, toMS int64) []piece {
	if fromMS >= toMS {
		return dst
	}
	level := len(levels) - 1
	span := levels[level]
	from, to := -floorDiv(-fromMS, span), floorDiv(toMS, span) // whole tiles inside
	if level == 0 {
		return append(dst, piece{0, from, to})
	}
	if s := since[level]; from*span < s {
		from = -floorDiv(-s, span)
	}
	if from >= to {
		return decompose(dst, levels[:level], since, fromMS, toMS)
	}
	dst = decompose(dst, levels[:level], since, fromMS, from*span)
	dst = append(dst, piece{level, from, to})
	return decompose(dst, levels[:level], since, to*span, toMS)
}
