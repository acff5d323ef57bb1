package parquet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand"
	"strings"
	"testing"

	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/instances/instancetest"
)

// readDamaged reads what there is, and returns the rows up to the first error.
func readDamaged(data []byte) (rows []string, err error) {
	r, err := NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	buffer := make([]instances.Instance, 64)
	for {
		n, err := r.Read(buffer)
		for i := range buffer[:n] {
			rows = append(rows, instancetest.Row(r.Columns(), &buffer[i]))
		}
		if err != nil || len(rows) > 5000 {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return rows, errors.Join(err, r.Close())
		}
	}
}

// TestDamage checks that a file that was damaged gives an error, not a crash, and
// that damage to its values is not read.
func TestDamage(t *testing.T) {
	r := newRand(t)
	c := everyType()
	data := write(t, NewWriter(c, Options{RowGroupBytes: 100 << 10, PageBytes: 4 << 10}), Metadata{}, randomRows(r, c, 1500), 500)
	want, err := readDamaged(data)
	if err != nil {
		t.Fatal(err)
	}
	footer := len(data) - 40<<10
	wrong := 0
	for range 300 {
		damaged := bytes.Clone(data)
		at := r.Intn(len(data))
		damaged[at] ^= byte(1 + r.Intn(255))
		got, err := readDamaged(damaged)
		if err == nil && at < footer && strings.Join(got, "\n") != strings.Join(want, "\n") {
			wrong++
			t.Logf("byte %d of %d: other rows, and no error", at, len(data))
		}
	}
	if wrong > 3 { // page headers have no checksum
		t.Errorf("%d of 300 damages go unseen", wrong)
	}
	for range 30 {
		if _, err := readDamaged(data[:r.Intn(len(data))]); err == nil {
			t.Error("a file that was cut off is read")
		}
	}
}

// withFooter is a file that is nothing but a footer.
func withFooter(footer string) []byte {
	data := append([]byte("PAR1"), footer...)
	return append(binary.LittleEndian.AppendUint32(data, uint32(len(footer))), "PAR1"...)
}

// TestHugeLists checks that lists of billions, which damage makes easily, take no memory.
func TestHugeLists(t *testing.T) {
	for _, footer := range []string{"\x15\x04\x19\xfc\xff\xff\xff\xff\x07", "\x15\x04\x19\xfc\xff\xff\x07", "\x15\x04\x28\xff\xff\xff\xff\x07", "\x15\x04\x1b\xff\xff\x7f\x55", "", "\x1c\x1c"} {
		if _, err := readDamaged(withFooter(footer)); !errors.Is(err, errFooter) {
			t.Errorf("%q: %v", footer, err)
		}
	}
	for _, data := range []string{"", "PAR1", "PAR1\x00\x00\x00\x00PARE", "PAR1\xff\x00\x00\x00PAR1"} {
		if _, err := readDamaged([]byte(data)); err == nil || !strings.Contains(err.Error(), "it ") {
			t.Errorf("%q: %v", data, err)
		}
	}
}

// FuzzReader reads anything.
func FuzzReader(f *testing.F) {
	c := instancetest.MustColumns([]string{"click"}, "item", "string?", "last", "[int]") // small files are mutated faster
	rnd := rand.New(rand.NewSource(1))
	f.Add(write(f, NewWriter(c, Options{}), Metadata{}, nil, 1))
	f.Add(write(f, NewWriter(c, Options{RowGroupBytes: 1 << 10, PageBytes: 1 << 10}), Metadata{Experiment: "e"}, randomRows(rnd, c, 20), 100))
	f.Add(withFooter("\x15\x04\x19\xfc\xff\xff\x07"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		_, _ = readDamaged(data)
	})
}
