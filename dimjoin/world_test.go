package dimjoin_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
)

// table is a store whose contents and faults a test decides.
type table struct {
	history bool // versions are kept; otherwise only the latest row counts

	mu     sync.Mutex
	rows   map[string][]change
	fault  func(request int) fault
	log    []request
	active int
	most   int // requests at once
}

// change is a row that is valid from a time on; a nil row ends the one before.
type change struct {
	fromMS int64
	row    mortise.Row
	err    error
}

// fault is what befalls a request.
type fault struct {
	took   time.Duration
	err    error
	deaf   bool          // ctx is not looked at
	unless chan struct{} // where set: nothing comes back before it is closed
}

// request is what a table was asked, and what it said.
type request struct {
	sent, ended time.Time
	lookups     []dimjoin.Lookup
	err         error
	faulty      bool
}

func newTable() *table { return &table{rows: map[string][]change{}} }

func (b *table) Close() error { return nil }

func (b *table) Read(ctx context.Context, lookups []dimjoin.Lookup) error {
	b.mu.Lock()
	n := len(b.log)
	b.log = append(b.log, request{sent: time.Now()})
	b.active++
	b.most = max(b.most, b.active)
	var f fault
	if b.fault != nil {
		f = b.fault(n)
		b.log[n].faulty = f.err != nil || f.took > 20*time.Millisecond || f.unless != nil
	}
	b.mu.Unlock()
	err := f.wait(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.active--
	if err == nil {
		for i := range lookups {
			b.answer(&lookups[i], time.Now().UnixMilli())
		}
	}
	b.log[n].ended, b.log[n].err = time.Now(), err
	b.log[n].lookups = append(b.log[n].lookups, lookups...)
	return err
}

func (f *fault) wait(ctx context.Context) error {
	done := ctx.Done()
	if f.deaf {
		done = nil
	}
	if f.took > 0 {
		select {
		case <-time.After(f.took):
		case <-done:
			return ctx.Err()
		}
	}
	if f.unless != nil {
		select {
		case <-f.unless:
		case <-done:
			return ctx.Err()
		}
	}
	return f.err
}

// answer fills in what the table holds at nowMS.
func (b *table) answer(l *dimjoin.Lookup, nowMS int64) {
	l.FromMS, l.ToMS = -1<<62, dimjoin.Latest
	for _, c := range b.rows[string(l.Key)] {
		if c.fromMS > nowMS {
			break
		}
		if b.history && c.fromMS > l.AsOfMS {
			l.ToMS = c.fromMS
			break
		}
		l.FromMS, l.Row, l.Err = c.fromMS, c.row, c.err
	}
	if !b.history {
		l.FromMS, l.ToMS = 0, 0
	}
}

// set puts a row that is valid from a time on, after all that are there.
func (b *table) set(key string, fromMS int64, text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := change{fromMS: fromMS}
	if text != "" {
		c.row = mortise.Row{mortise.StringValue(text)}
	}
	b.rows[key] = append(b.rows[key], c)
}

// befall says what befalls the requests from now on.
func (b *table) befall(f func(request int) fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fault = f
}

func (b *table) requests() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.log)
}

func (b *table) keys() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.log {
		n += len(r.lookups)
	}
	return n
}

// rows is a cache without bounds.
type rows struct {
	mu   sync.Mutex
	rows map[string]*dimjoin.Entry
}

func newRows() *rows { return &rows{rows: map[string]*dimjoin.Entry{}} }

func (c *rows) Get(key []byte) *dimjoin.Entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rows[string(key)]
}

func (c *rows) Put(key string, e *dimjoin.Entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rows[key] = e
}

func (c *rows) Bytes() (n int64) {
	for _, e := range c.rows {
		n += e.Bytes()
	}
	return n
}

func (c *rows) Len() int { return len(c.rows) }

// define is a dimension of one text field.
func define(asOf, missing string) *dimjoin.Definition {
	return &dimjoin.Definition{Name: "item", Key: []string{"item_id"}, AsOf: asOf, Missing: missing,
		Fields: mortise.Schema{{Name: "brand", Type: mortise.Type{Kind: mortise.String}}}}
}

func ask(key string, asOfMS int64) dimjoin.Answer {
	return dimjoin.Answer{Key: []byte(key), Values: mortise.Row{mortise.StringValue(key)}, AsOfMS: asOfMS}
}

// read reads one key, and writes the answer as `how: text`.
func read(t *testing.T, r *dimjoin.Reader, key string, asOfMS int64) string {
	t.Helper()
	answers := []dimjoin.Answer{ask(key, asOfMS)}
	r.Read(t.Context(), answers)
	return show(&answers[0])
}

func show(a *dimjoin.Answer) string {
	text := "null"
	if v := a.Row[0]; !v.IsNull() {
		text = string(v.Text())
	}
	if a.Absent {
		text += " absent"
	}
	if a.Reject != nil {
		text += fmt.Sprintf(" rejected (%s)", a.Reject.Detail)
	}
	return fmt.Sprintf("%s: %s", a.Served, text)
}

// expect fails unless got is want.
func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %s, want %s", what, got, want)
	}
}

// pass lets time pass in a bubble.
func pass(d time.Duration) { <-time.After(d) }
