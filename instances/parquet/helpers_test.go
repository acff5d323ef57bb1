package parquet

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/instances/instancetest"
)

// clone copies an instance with all that it points to.
func clone(in *instances.Instance) instances.Instance {
	out := *in
	out.ID, out.Labels, out.Degraded = bytes.Clone(in.ID), slices.Clone(in.Labels), slices.Clone(in.Degraded)
	out.Selected = nil
	for i := range in.Selected {
		out.Selected = append(out.Selected, cloneValue(&in.Selected[i]))
	}
	return out
}

func cloneValue(v *mortise.Value) mortise.Value {
	switch v.Kind {
	case mortise.String:
		return mortise.TextValue(append([]byte{}, v.Text()...))
	case mortise.List:
		list := make([]mortise.Value, len(v.List()))
		for i := range list {
			list[i] = cloneValue(&v.List()[i])
		}
		return mortise.ListValue(list)
	}
	return *v
}

// write writes rows as one file, handed over in pieces of the given sizes, over
// and over.
func write(t testing.TB, w *Writer, m Metadata, rows []instances.Instance, pieces ...int) []byte {
	t.Helper()
	var out bytes.Buffer
	w.Begin(&out, m)
	for i := 0; len(rows) > 0; i++ {
		n := min(pieces[i%len(pieces)], len(rows))
		if err := w.Write(rows[:n]); err != nil {
			t.Fatal(err)
		}
		rows = rows[n:]
	}
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func open(t testing.TB, file []byte) *Reader {
	t.Helper()
	r, err := NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// readAll reads a file in pieces of the size of rows, and shows its instances.
func readAll(t testing.TB, r *Reader, rows []instances.Instance) (shown []string) {
	t.Helper()
	for {
		n, err := r.Read(rows)
		if errors.Is(err, io.EOF) {
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			return shown
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := range rows[:n] {
			shown = append(shown, instancetest.Row(r.Columns(), &rows[i]))
		}
	}
}
