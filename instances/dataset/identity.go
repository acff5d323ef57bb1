package dataset

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	mortise "github.com/mortise-dev/mortise"
)

// identity says whose rows a folder holds, and how they lie there. It never changes.
type identity struct {
	Format     int      `json:"format"`
	Experiment string   `json:"experiment"`
	Kind       Kind     `json:"kind"`
	Partition  []string `json:"partition"`
	Plan       string   `json:"plan,omitempty"`
	Splits     int      `json:"splits,omitempty"`
	Source     string   `json:"source,omitempty"`
}

// MismatchError says that a folder holds something else than what is to be
// written there.
type MismatchError struct {
	Place string // without secrets
	What  string // is different, and what to do
}

func (e *MismatchError) Error() string { return e.Place + ": " + e.What }

// claim finds the folder's identity, or makes it where the folder is empty.
func (d *Dataset) claim(ctx context.Context) error {
	own := identity{formatVersion, d.opts.Experiment, d.opts.Kind, append([]string{}, d.opts.Partition...), d.opts.Plan, d.opts.Splits, d.opts.Source}
	data, err := d.get(ctx, identityKey)
	if errors.Is(err, fs.ErrNotExist) {
		if err := d.checkEmpty(ctx); err != nil {
			return err
		}
		if err := d.create(ctx, identityKey, encode(own)); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		data, err = d.get(ctx, identityKey)
	}
	if err != nil {
		return err
	}
	var found identity
	if err := parse(data, &found, &found.Format); err != nil {
		return d.damaged(identityKey, err)
	}
	if what := found.differs(&own); what != "" {
		return &MismatchError{d.bucket.String(), what}
	}
	return d.checkCreate(ctx, data)
}

// checkEmpty refuses a folder without identity that has Parquet files all the same.
func (d *Dataset) checkEmpty(ctx context.Context) error {
	return d.bucket.List(ctx, "", func(key string, _ int64, _ time.Time) error {
		if !strings.HasSuffix(key, fileSuffix) {
			return nil
		}
		if _, err := d.get(ctx, identityKey); err == nil || !errors.Is(err, fs.ErrNotExist) {
			return err // nil: somebody has made the dataset meanwhile
		}
		return &MismatchError{d.bucket.String(), fmt.Sprintf("there are Parquet files, such as %s, but no %s: what reads the folder would mix them with the rows of %s: name an empty folder",
			key, identityKey, d.opts.Experiment)}
	})
}

// checkCreate makes sure that the store does not overwrite: everything rests on it.
func (d *Dataset) checkCreate(ctx context.Context, same []byte) error {
	err := d.create(ctx, identityKey, same)
	if err == nil {
		return fmt.Errorf("%s: this store overwrites an object that was to be created only if there is none (If-None-Match: *), so two writers could publish the same rows: use one that has conditional writes", d.bucket)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// differs says in what a folder's identity differs from the one that is wanted.
func (i *identity) differs(want *identity) string {
	switch {
	case i.Experiment != want.Experiment:
		return fmt.Sprintf("the dataset there is of experiment %s, not %s: name another folder", i.Experiment, want.Experiment)
	case i.Kind != want.Kind:
		return fmt.Sprintf("the dataset there is a %s, and a %s would add the same rows again: name another folder", i.describe(), want.describe())
	case !slices.Equal(i.Partition, want.Partition):
		return fmt.Sprintf("the dataset there is in folders by [%s], not [%s]: name another folder, or keep its `partition`",
			strings.Join(i.Partition, ", "), strings.Join(want.Partition, ", "))
	case i.Plan != want.Plan || i.Splits != want.Splits:
		return fmt.Sprintf("the dataset there is of another backfill (plan %s, %d splits; this is plan %s, %d splits): its input, range, experiment file or version of mortise was another; name another folder, or remove that one and begin anew",
			i.Plan, i.Splits, want.Plan, want.Splits)
	case i.Source != want.Source && i.Source != "" && want.Source != "":
		return fmt.Sprintf("the dataset there has the rows of %s, and those that are to come are of %s, with offsets of its own: another cluster, or a topic that was made anew; name another folder, or remove that one",
			i.Source, want.Source)
	}
	return ""
}

func (i *identity) describe() string {
	if i.Kind == Batch {
		return "backfill"
	}
	return "stream"
}

// columnsFile is what columns there are and have been, with the last type of each.
type columnsFile struct {
	Format  int          `json:"format"`
	Columns []columnDecl `json:"columns"`
	Version int          `json:"version"` // of the experiment that brought the change
	Config  string       `json:"config"`
}

type columnDecl struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// agree adds the columns of this writer to those that the dataset has had, or says
// which of them has another type than it had.
func (d *Dataset) agree(ctx context.Context) error {
	for {
		last, found, err := d.lastColumns(ctx)
		if err != nil {
			return err
		}
		next, changed, err := found.merge(d.opts.Columns.Schema())
		if err != nil {
			return &MismatchError{d.bucket.String(), err.Error()}
		}
		if !changed {
			return nil
		}
		next.Version, next.Config = d.opts.Version, d.opts.Config
		err = d.create(ctx, columnsKey(last+1), encode(next))
		if err == nil {
			return nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		// Somebody was faster, with the same or with others.
	}
}

func (d *Dataset) lastColumns(ctx context.Context) (n int, found columnsFile, err error) {
	key := ""
	err = d.bucket.List(ctx, columnsFolder, func(k string, _ int64, _ time.Time) error {
		var at int
		if _, err := fmt.Sscanf(k, columnsFolder+"%06d.json", &at); err == nil && k == columnsKey(at) {
			n, key = at, k
		}
		return nil
	})
	if err != nil || key == "" {
		return 0, found, err
	}
	data, err := d.get(ctx, key)
	if err != nil {
		return 0, found, err
	}
	if err := parse(data, &found, &found.Format); err != nil {
		return 0, found, d.damaged(key, err)
	}
	return n, found, nil
}

// merge adds columns. A type may become nullable, or no longer be; what it is of
// may not change.
func (f *columnsFile) merge(s mortise.Schema) (out columnsFile, changed bool, err error) {
	out = columnsFile{Format: formatVersion, Columns: slices.Clone(f.Columns)}
	for _, field := range s {
		at := slices.IndexFunc(out.Columns, func(c columnDecl) bool { return c.Name == field.Name })
		if at < 0 {
			out.Columns, changed = append(out.Columns, columnDecl{field.Name, field.Type.String()}), true
			continue
		}
		was, err := mortise.ParseType(out.Columns[at].Type)
		if err != nil {
			return out, false, fmt.Errorf("column %s: %w", field.Name, err)
		}
		if was.Kind != field.Type.Kind || was.Elem != field.Type.Elem {
			return out, false, fmt.Errorf("column %s is %s in the dataset there, and %s now: readers take one type a column: give it another name, or name another folder",
				field.Name, was, field.Type)
		}
		if field.Type.Nullable && !was.Nullable {
			out.Columns[at].Type, changed = field.Type.String(), true
		}
	}
	return out, changed, nil
}

// get reads a small object.
func (d *Dataset) get(ctx context.Context, key string) ([]byte, error) {
	const most = 64 << 20
	r, err := d.bucket.Get(ctx, key, 0, most)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}

func (d *Dataset) create(ctx context.Context, key string, data []byte) error {
	return d.bucket.Create(ctx, key, bytes.NewReader(data))
}

// damaged says that an object of the dataset's own is not what it should be.
func (d *Dataset) damaged(key string, err error) error {
	var version *json.UnmarshalTypeError
	if errors.As(err, &version) {
		err = fmt.Errorf("field %s is %s", version.Field, version.Value)
	}
	return fmt.Errorf("%s in %s is damaged, or of another program: %w", key, d.bucket, err)
}
