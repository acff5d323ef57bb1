package sql

import "time"

// Options say how the database is used. Zero fields take their defaults. Where it
// is says the dimension's store.
type Options struct {
	// Connections bounds the connections. The default is 8.
	Connections int
	// Idle is how long a connection that nobody uses is kept. The default is 5 min.
	Idle time.Duration
	// Chunk bounds the keys of one statement. The default is 5,000 for PostgreSQL
	// and 512 for MySQL, whose statements grow with them.
	Chunk int
}

// EnsureDefaults fills in zero fields.
func (o *Options) EnsureDefaults(d dialect) {
	if o.Connections <= 0 {
		o.Connections = 8
	}
	if o.Idle <= 0 {
		o.Idle = 5 * time.Minute
	}
	if o.Chunk <= 0 {
		o.Chunk = d.chunk()
	}
}
