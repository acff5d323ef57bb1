package recorded

import (
	"context"
	"io"
	"os"
	"time"

	mortise "github.com/mortise-dev/mortise"
)

// Options says how the files of one source are read. JSON lines need none of it.
type Options struct {
	// Fields are what the source declares: the columns that are read, and what
	// text is typed by. Folders such as dt=2019-11-24 give fields of their names.
	Fields mortise.Schema
	// From says where fields lie that are not under their names at the top: user_id
	// may be {"user", "id"}. Columns have the names with dots between them then, or
	// the field's own.
	From map[string][]string
	// TimeField is the event time, declared or not, and TimeUnit how it is written:
	// s, ms, us, ns or rfc3339.
	TimeField, TimeUnit string
	// Whole reads all columns, for sources whose clean function sees whole
	// records. Columns that are not declared become what comes nearest: CSV's text.
	Whole bool
	// Stdin is what "-" stands for. The default is the process' standard input.
	Stdin io.Reader
	// OpenTable opens Parquet files; see joiner/recorded/parquet. Without it they
	// are refused.
	OpenTable func(r io.ReaderAt, sizeBytes int64) (Table, error)
	// OpenStore opens a bucket by its URL; see experiments/inputs. Without it URLs
	// are refused.
	OpenStore func(ctx context.Context, place string) (Store, error)

	sleep func(ctx context.Context, d time.Duration) error
}

func (o *Options) ensureDefaults() {
	if o.Stdin == nil {
		o.Stdin = os.Stdin
	}
	if o.sleep == nil {
		o.sleep = SystemClock{}.Sleep
	}
}
