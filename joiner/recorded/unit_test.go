package recorded

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// drain reads r to its end and returns its lines as "position text".
func drain(t testing.TB, r RowReader, err error) (got []string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		line, err := r.Next()
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%d %s", line.Position, line.Data))
	}
}

// TestUnitsHoldEveryLineOnce cuts random files into pieces of random sizes: in
// order, the pieces must hold what reading the files one after another gives.
func TestUnitsHoldEveryLineOnce(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 25 {
		dir := t.TempDir()
		for n := range 1 + rng.IntN(3) {
			var text []byte
			if rng.IntN(4) == 0 {
				text = append(text, utf8Mark...)
			}
			for i := range rng.IntN(60) {
				text = fmt.Appendf(text, "%d-%d %s%s", n, i, strings.Repeat("x", rng.IntN(30)), []string{"\n", "\r\n", "\n\n", "\n \n"}[rng.IntN(4)])
			}
			if rng.IntN(3) == 0 {
				text = append(text, "the last line lacks its end"...)
			}
			if rng.IntN(20) == 0 {
				text = append(text, strings.Repeat("long", bufferBytes/3)...)
			}
			if rng.IntN(4) == 0 {
				text = gzipped(t, text)
			}
			write(t, dir, fmt.Sprintf("f%d", n), text)
		}
		f, err := Open(t.Context(), Options{}, filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		var sizeBytes int64
		for i, u := range f.Units(1 + rng.Int64N(300)) {
			if u.Order != i {
				t.Fatalf("unit %d has order %d", i, u.Order)
			}
			sizeBytes += u.Bytes()
			r, err := u.Open()
			got = append(got, drain(t, r, err)...)
		}
		read, total := f.Progress()
		if read != total || sizeBytes != total {
			t.Fatalf("progress %d of %d, units' sizes %d", read, total, sizeBytes)
		}
		if f, err = Open(t.Context(), Options{}, filepath.Join(dir, "*")); err != nil {
			t.Fatal(err)
		}
		if want := drain(t, f, nil); !slices.Equal(got, want) {
			t.Fatalf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

func TestPartsNameTheirLines(t *testing.T) {
	path := write(t, t.TempDir(), "f", []byte("one\ntwo\nthree\n"))
	f, err := Open(t.Context(), Options{}, path)
	if err != nil {
		t.Fatal(err)
	}
	units := f.Units(7)
	if len(units) != 2 || units[1].String() != path+", bytes 7 to 14" {
		t.Fatalf("units %v", units)
	}
	var got []string
	for i := range units {
		r, err := units[i].Open()
		for err == nil {
			var line Line
			if line, err = r.Next(); err == nil {
				got = append(got, strings.TrimPrefix(line.Where(), path)+" "+string(line.Data))
			}
		}
		if !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
	if want := []string{":1 one", ":2 two", " at byte 8 three"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := units[1].Open(); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a file that is gone: %v", err)
	}
}
