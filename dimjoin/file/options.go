package file

import (
	"context"
	"io"
	"time"
)

// Options sets up a table. Zero fields take their defaults.
type Options struct {
	// Every is how often the file is looked at for a change, which reads do on the
	// way. A file that changed is read once it has looked the same twice. The default
	// is 5 s; less than 0 is never.
	Every time.Duration
	// Now is the clock. The default is time.Now.
	Now func() time.Time
	// OnReload is told of each attempt to read a file that changed: how many rows
	// it has, or what is wrong with it, in which case the rows before stay. The
	// default tells nobody.
	OnReload func(rows int, err error)
	// OpenColumns opens Parquet files. Without it they are refused.
	OpenColumns func(r io.ReaderAt, sizeBytes int64) (Columns, error)
	// OpenBucket opens the bucket of a URL such as s3://bucket/folder. Without it paths
	// that are URLs are refused.
	OpenBucket func(ctx context.Context, place string) (Bucket, error)

	firstRows int // ends the file after that many; 0: it has an end of its own
}

// EnsureDefaults fills in zero fields.
func (o *Options) EnsureDefaults() {
	if o.Every == 0 {
		o.Every = 5 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.OnReload == nil {
		o.OnReload = func(int, error) {}
	}
}
