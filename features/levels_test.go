package features

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	mortise "github.com/mortise-dev/mortise"
)

func TestLevels(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		tile, window time.Duration
		want         string
	}{
		{time.Minute, time.Minute, "1m"},
		{time.Minute, time.Hour, "1m"},
		{time.Minute, 3 * time.Hour, "1m 1h"},
		{time.Minute, day, "1m 1h"},
		{time.Minute, 30 * day, "1m 1h 1d"},
		{time.Hour, 400 * day, "1h 1d 32d"},
		{time.Second, 6 * time.Hour, "1s 1m 1h"},
		{5 * time.Minute, 7 * day, "5m 1h 1d"},
		{15 * time.Minute, 30 * day, "15m 6h 8d"},
		{7 * time.Second, day, "7s 3m44s 1h59m28s"},
		{1500 * time.Millisecond, 100 * time.Second, "1.5s"},
	} {
		if err := CheckTile(c.tile); err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, ms := range Levels(c.tile.Milliseconds(), c.window.Milliseconds()) {
			got += " " + mortise.FormatDuration(time.Duration(ms)*time.Millisecond)
		}
		if got[1:] != c.want {
			t.Errorf("tile %s, window %s: %s, want %s", c.tile, c.window, got[1:], c.want)
		}
	}
}

// Pieces follow on each other without gap or overlap, and a window is made of few.
func TestDecompose(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 1))
	for range 20_000 {
		tileMS := []int64{1000, 7000, 60_000, 300_000, 3_600_000}[rnd.IntN(5)]
		windowMS := tileMS * (1 + rnd.Int64N(50_000))
		levels := Levels(tileMS, windowMS)
		to := (rnd.Int64N(1<<41) - 1<<40) / tileMS * tileMS
		since := make([]int64, len(levels))
		limited := rnd.IntN(3) == 0
		for i := range since {
			since[i] = math.MinInt64
			if limited {
				since[i] = []int64{math.MinInt64, math.MaxInt64, to - rnd.Int64N(windowMS)}[rnd.IntN(3)]
			}
		}
		pieces := decompose(nil, levels, since, to-windowMS, to)
		at, tiles := to-windowMS, int64(0)
		for _, p := range pieces {
			span := levels[p.level]
			if p.from*span != at || p.to <= p.from || p.level > 0 && p.from*span < since[p.level] {
				t.Fatalf("levels %v, since %v, window %d to %d: %v", levels, since, windowMS, to, pieces)
			}
			at, tiles = p.to*span, tiles+p.to-p.from
		}
		if at != to {
			t.Fatalf("levels %v, window %d to %d: pieces end at %d", levels, windowMS, to, at)
		}
		most := int64(worthTiles * mostTiles) // of the coarsest level
		for range levels[1:] {
			most += 2 * mostTiles
		}
		if !limited && tiles > most {
			t.Fatalf("levels %v: %d tiles for a window of %d", levels, tiles, windowMS)
		}
	}
}

// A 30-day window over 1m tiles reads six to eight chunks, and some 100 tiles.
func TestPlanReadsFewChunks(t *testing.T) {
	set := compile(t, define("f", "count", "", 30*24*time.Hour, time.Minute))
	since := [][]int64{slices.Repeat([]int64{math.MinInt64}, 3)}
	rnd := rand.New(rand.NewPCG(8, 1))
	sum := 0
	const plans = 1000
	for range plans {
		p := set.newPlan(0, 1_700_000_040_000/60_000*60_000+rnd.Int64N(100*86_400)*60_000, since)
		if n := len(p.chunks); n > 8 {
			t.Fatalf("%d chunks", n)
		}
		for _, c := range p.chunks {
			sum += int(c.places[0].to - c.places[0].from)
		}
	}
	t.Logf("%d tiles on average", sum/plans)
	if sum/plans > 130 {
		t.Errorf("%d tiles on average", sum/plans)
	}
}

func TestKeysOrder(t *testing.T) {
	var last []byte
	for _, k := range []Key{
		{0, 0, 0, math.MinInt32, nil}, {0, 0, 0, -1, []byte("a")}, {0, 0, 0, 0, nil}, {0, 0, 0, 0, []byte{0}}, {0, 0, 0, 1, nil},
		{0, 0, 1, -5, []byte("z")}, {0, 1, 0, -9, nil}, {1, 0, 0, -9, nil}, {math.MaxUint16, math.MaxUint16, 255, math.MaxInt32, []byte{255}},
	} {
		key := k.Append(nil)
		if fmt.Sprintf("%x", key) <= fmt.Sprintf("%x", last) {
			t.Errorf("%v is not behind what comes before it", k)
		}
		last = key
	}
}
