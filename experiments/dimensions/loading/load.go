package loading

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"path/filepath"
	"sync/atomic"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/joiner/recorded"
)

// Job is one load.
type Job struct {
	Definition *dimjoin.Definition
	// Open opens the files from their beginning; it is called once a pass.
	Open    func(ctx context.Context) (*recorded.Files, error)
	Targets []Target
	// Marks is the folder of how far stores are that do not keep it themselves.
	Marks string
	// Version is what the rows become; Version() makes one of the files. One that is
	// there in part goes on.
	Version string
	// Restart begins again where a load of this version was cut short.
	Restart bool
	// Pause is how long one store serves the new rows before the next is filled.
	Pause time.Duration
	// SkipBad is how many rows may be left out because they do not fit.
	SkipBad int64
	// Bad, where set, is told of each row that is left out.
	Bad func(err error)
	// Say, where set, is told what happens.
	Say func(text string)
	// Batch is how many rows are written at once. The default is 5,000.
	Batch int
	// Sleep waits. The default is a timer.
	Sleep func(ctx context.Context, d time.Duration) error

	Progress Progress
}

// Progress is how far a load is; it may be read at any time.
type Progress struct {
	Rows  atomic.Int64 // written, to all stores together
	Lines atomic.Int64 // read, in all passes
	Files atomic.Pointer[recorded.Files]
}

// Report is what a load has done.
type Report struct {
	Dimension string   `json:"dimension"`
	Version   string   `json:"version"`
	Rows      int64    `json:"rows"` // of the files
	Bad       int64    `json:"bad"`  // left out
	Written   []Filled `json:"written"`
}

// Filled is one store.
type Filled struct {
	Store     string `json:"store"`
	Rows      int64  `json:"rows"`       // written now
	Resumed   int64  `json:"resumed"`    // lines that an earlier load had done
	Switched  bool   `json:"switched"`   // readers see the new rows
	AlreadyIn bool   `json:"already_in"` // they did before
}

// RowError says which row cannot be used.
type RowError struct {
	Where string // file and line
	Err   error
}

// Error names the row and what to do.
func (e *RowError) Error() string {
	return fmt.Sprintf("%s: %v (to leave such rows out, say how many with --skip-bad)", e.Where, e.Err)
}

// Unwrap returns the cause.
func (e *RowError) Unwrap() error { return e.Err }

// VersionOf names what files become as rows of a dimension: equal files have the
// same name.
func VersionOf(def *dimjoin.Definition, files *recorded.Files) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%q %v %q %v %v", def.Key, def.KeyTypes, def.Name, def.Fields, def.History)
	for _, info := range files.Infos() {
		fmt.Fprintf(h, "%q %d %d", info.Path, info.SizeBytes, info.Modified.UnixNano())
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

func (j *Job) ensureDefaults() {
	if j.Batch == 0 {
		j.Batch = 5000
	}
	if j.Bad == nil {
		j.Bad = func(error) {}
	}
	if j.Say == nil {
		j.Say = func(string) {}
	}
	if j.Sleep == nil {
		j.Sleep = recorded.SystemClock{}.Sleep
	}
}

// Check reads all rows and writes none.
func Check(ctx context.Context, j *Job) (*Report, error) {
	j.ensureDefaults()
	report := &Report{Dimension: j.Definition.Name, Version: j.Version, Written: []Filled{}}
	err := j.pass(ctx, mark{Pass: passRows}, func([]dimjoin.Record, mark) error { return nil }, report)
	return report, err
}

// Run fills all stores, one after another.
func Run(ctx context.Context, j *Job) (*Report, error) {
	j.ensureDefaults()
	report := &Report{Dimension: j.Definition.Name, Version: j.Version, Written: []Filled{}}
	for i := range j.Targets {
		t := &j.Targets[i]
		filled := Filled{Store: t.Name}
		err := j.fill(ctx, t, &filled, report)
		report.Written = append(report.Written, filled)
		if err != nil {
			return report, fmt.Errorf("%s: %w", t.Name, err)
		}
		if i+1 < len(j.Targets) && j.Pause > 0 && !filled.AlreadyIn {
			j.Say(fmt.Sprintf("%s serves the new rows; %s is next, in %s", t.Name, j.Targets[i+1].Name, mortise.FormatDuration(j.Pause)))
			if err := j.Sleep(ctx, j.Pause); err != nil {
				return report, err
			}
		}
	}
	return report, nil
}

// fill fills one store and has readers see it.
func (j *Job) fill(ctx context.Context, t *Target, filled *Filled, report *Report) error {
	before, err := t.Versioned.Current(ctx)
	if err != nil {
		return err
	}
	if filled.AlreadyIn = before == j.Version; filled.AlreadyIn {
		if !j.Restart {
			return nil
		}
		return errors.New("readers see this very version: a load of the same files cannot begin again; change the file, or name the version with --version")
	}
	if j.Restart {
		if err := t.Versioned.Drop(ctx, j.Version); err != nil {
			return err
		}
	}
	writer, err := t.Versioned.Prepare(ctx, j.Version)
	if err != nil {
		return err
	}
	defer writer.Close()
	s := openSink(writer, filepath.Join(j.Marks, j.Definition.Name+"-"+j.Version+"-"+fileName(t.Name)+".json"))
	if j.Restart {
		if err := s.done(ctx); err != nil {
			return err
		}
	}
	if err := j.write(ctx, s, filled, report); err != nil {
		return err
	}
	if err := t.Versioned.Switch(ctx, j.Version); err != nil {
		return err
	}
	filled.Switched = true
	if err := s.done(ctx); err != nil || before == "" { // rows without a version are somebody else's too
		return err
	}
	return t.Versioned.Drop(ctx, before)
}

func fileName(name string) string {
	out := []byte(name)
	for i, c := range out {
		if c|0x20 < 'a' || c|0x20 > 'z' {
			out[i] = '-'
		}
	}
	return string(out)
}

// The passes over the files. Where rows end, that is written first: what begins
// at the same time then takes its place.
const (
	passEnds = iota
	passRows
	passes
)

// write writes the rows of all passes, from where the store is.
func (j *Job) write(ctx context.Context, s *sink, filled *Filled, report *Report) error {
	at, err := s.begin(ctx)
	if err != nil {
		return err
	}
	filled.Resumed = at.Lines
	ends := j.Definition.History.Kept() && j.Definition.History.To != ""
	if at.Pass == passEnds && !ends {
		at = mark{Pass: passRows}
	}
	for ; at.Pass < passes; at = (mark{Pass: at.Pass + 1}) {
		report.Rows, report.Bad = 0, 0
		err := j.pass(ctx, at, func(records []dimjoin.Record, to mark) error {
			if err := s.write(ctx, records, to); err != nil {
				return err
			}
			if to.Pass == passRows {
				filled.Rows += int64(len(records))
			}
			j.Progress.Rows.Add(int64(len(records)))
			return nil
		}, report)
		if err != nil {
			return err
		}
	}
	return nil
}

// batch is rows that are written at once.
type batch struct {
	records []dimjoin.Record
	to      mark
}

// pass reads the files once and hands over batches, while the next is being read.
func (j *Job) pass(ctx context.Context, at mark, write func([]dimjoin.Record, mark) error, report *Report) (err error) {
	files, err := j.Open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	j.Progress.Files.Store(files)
	working, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	batches, written := make(chan batch, 1), make(chan error, 1)
	go func() {
		var failed error
		for b := range batches {
			if failed == nil {
				if failed = write(b.records, b.to); failed != nil {
					stop(failed)
				}
			}
		}
		written <- failed
	}()
	err = j.read(working, files, at, batches, report)
	close(batches)
	if failed := <-written; failed != nil {
		return failed
	}
	return err
}

// read reads lines into batches, but those before at.
func (j *Job) read(ctx context.Context, files *recorded.Files, at mark, out chan<- batch, report *Report) error {
	d := decoder{def: j.Definition}
	b := batch{to: mark{Pass: at.Pass}}
	send := func() error {
		select {
		case out <- b:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		b = batch{to: b.to}
		return nil
	}
	size := 0
	for {
		line, err := files.Next()
		if errors.Is(err, io.EOF) {
			return send()
		}
		if err != nil {
			return err
		}
		j.Progress.Lines.Add(1)
		b.to.Lines++
		r, toMS, err := d.row(line.Data)
		if err != nil {
			if report.Bad++; report.Bad > j.SkipBad {
				return &RowError{line.Where(), err}
			}
			if at.Pass == passRows && b.to.Lines > at.Lines {
				j.Bad(&RowError{line.Where(), err})
			}
			continue
		}
		report.Rows++
		if b.to.Lines <= at.Lines {
			continue // done before
		}
		switch {
		case at.Pass == passRows:
			b.records = append(b.records, r)
		case toMS != dimjoin.Latest:
			b.records = append(b.records, dimjoin.Record{Key: r.Key, Values: r.Values, FromMS: toMS})
		}
		if size += sizeOf(&r); len(b.records) >= j.Batch || size > batchBytes {
			size = 0
			if err := send(); err != nil {
				return err
			}
		}
	}
}

// batchBytes is at which size of its rows a batch is written, however few they are.
const batchBytes = 8 << 20
