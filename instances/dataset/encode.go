package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/instances/parquet"
)

// encoder makes Parquet files of rows that were kept. A dataset has a few of them.
type encoder struct {
	opts     *Options
	writer   *parquet.Writer
	others   *parquet.Writer // of rows that another configuration made; nil before any
	labels   int
	selected int
	in       rowReader
	rows     []instances.Instance
}

func newEncoder(o *Options) *encoder {
	return &encoder{opts: o, writer: parquet.NewWriter(o.Columns, parquet.Options{RowGroupBytes: o.RowGroupBytes}),
		labels: len(o.Columns.Labels()), selected: len(o.Columns.Selected())}
}

// writerOf returns what writes the rows of a configuration. Those of another than
// the dataset's may lack columns that are declared as never null: there they are null.
func (e *encoder) writerOf(config string) (*parquet.Writer, error) {
	if config == e.opts.Config {
		return e.writer, nil
	}
	if e.others == nil {
		selected := slices.Clone(e.opts.Columns.Selected())
		for i := range selected {
			selected[i].Type.Nullable = true
		}
		columns, err := instances.NewColumns(e.opts.Columns.Labels(), selected)
		if err != nil {
			return nil, err
		}
		e.others = parquet.NewWriter(columns, parquet.Options{RowGroupBytes: e.opts.RowGroupBytes})
	}
	return e.others, nil
}

// encode writes a slot's rows as a file to out, and says how large it is and what
// it hashes to.
func (e *encoder) encode(ctx context.Context, s *slot, kept *temp, m parquet.Metadata, out *temp) (sizeBytes int64, hash string, err error) {
	start, sum := out.size, sha256.New()
	writer, err := e.writerOf(m.Config)
	if err != nil {
		return 0, "", err
	}
	writer.Begin(io.MultiWriter(out, sum), m)
	err = s.each(kept, func(block []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		rows, err := e.decode(block)
		if err != nil {
			return err
		}
		return writer.Write(rows)
	})
	if err == nil {
		err = writer.End()
	}
	return out.size - start, hex.EncodeToString(sum.Sum(nil)), err
}

// decode reads a block's rows, which lie in the block and in e until the next call.
func (e *encoder) decode(block []byte) ([]instances.Instance, error) {
	e.in.lists = e.in.lists[:0]
	n := 0
	for len(block) > 0 {
		if len(block) < 4 || int(binary.LittleEndian.Uint32(block)) > len(block)-4 {
			return nil, errTorn
		}
		size := 4 + int(binary.LittleEndian.Uint32(block))
		if n == len(e.rows) {
			e.rows = append(e.rows, instances.Instance{})
		}
		e.in.data = block[4:size]
		e.in.row(&e.rows[n], e.labels, e.selected)
		if e.in.torn || len(e.in.data) > 0 {
			e.in.torn = false
			return nil, errTorn
		}
		block = block[size:]
		n++
	}
	return e.rows[:n], nil
}

// encodeAll encodes the part's rows as if it ended at to, a file a folder.
func (w *PartWriter) encodeAll(ctx context.Context, to int64) (err error) {
	d := w.dataset
	var e *encoder
	select {
	case e = <-d.encoders:
		defer func() { d.encoders <- e }()
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.encoded.close())
			w.encoded, w.files = nil, nil
		}
	}()
	m := manifest{Format: formatVersion, Origin: w.origin, From: w.from, To: to, Files: []manifestFile{}}
	meta := parquet.Metadata{Experiment: d.opts.Experiment, Version: w.version, Config: w.config, Origin: w.origin, From: w.from, To: to}
	var total int64
	for _, s := range w.inOrder() {
		if w.encoded == nil {
			if w.encoded, err = openTemp(d.opts.TempDir); err != nil {
				return err
			}
		}
		at := w.encoded.size
		key := fileKey(folderOf(s.number, d.spanMS), w.origin, w.from, to)
		size, hash, err := e.encode(ctx, s, w.kept, meta, w.encoded)
		if err != nil {
			return fmt.Errorf("encoding %s: %w", key, err)
		}
		w.files = append(w.files, extent{at, size})
		m.Files = append(m.Files, manifestFile{key, s.rows, size, hash, s.minMS, s.maxMS})
		total += size
	}
	w.manifest = &m
	d.learn(w.bytes, total)
	return nil
}
