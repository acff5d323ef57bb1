package main

import (
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress is a bar on stderr when that is a terminal, else nothing.
type progress struct{ bar *progressbar.ProgressBar }

// inRecords and inBytes are what a bar counts.
var (
	inRecords = []progressbar.Option{progressbar.OptionShowIts(), progressbar.OptionSetItsString("records")}
	inBytes   = []progressbar.Option{progressbar.OptionShowBytes(true)}
)

// progress begins a bar. A total of -1 means that it is not known.
func (c *console) progress(what string, total int64, unit []progressbar.Option) *progress {
	if c.quiet || !isTerminal(c.err) {
		return &progress{}
	}
	return &progress{progressbar.NewOptions64(total, append([]progressbar.Option{
		progressbar.OptionSetWriter(c.err),
		progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(),
		progressbar.OptionThrottle(100 * time.Millisecond),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionFullWidth(),
	}, unit...)...)}
}

// set moves the bar; describe changes its text. A bar that cannot be drawn is
// not worth failing for.
func (p *progress) set(n int64) {
	if p.bar != nil {
		_ = p.bar.Set64(n)
	}
}

func (p *progress) describe(text string) {
	if p.bar != nil {
		p.bar.Describe(text)
	}
}

func (p *progress) done() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
