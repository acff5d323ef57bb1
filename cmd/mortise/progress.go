package main

import (
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress is a bar on stderr when that is a terminal, else nothing. A total of
// -1 means that it is not known.
type progress struct{ bar *progressbar.ProgressBar }

func (c *console) progress(what string, total int64) *progress {
	if c.quiet || !isTerminal(c.err) {
		return &progress{}
	}
	return &progress{progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(c.err),
		progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionEnableColorCodes(c.colored(c.err)),
		progressbar.OptionFullWidth(),
	)}
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
