package main

import (
	"time"
)

// watch draws the progress of a run, records read of records there, until the
// function it returns is called.
func (c *console) watch(cr *crew, rec *recording) (stop func()) {
	bar := c.progress("starting", 1, inRecords)
	if bar.bar == nil {
		return func() {}
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				all := cr.statuses()
				var read, there int64
				for _, s := range all {
					for _, t := range s.Tasks {
						for _, in := range t.Inputs {
							read, there = read+max(in.Next, 0), there+max(in.High, in.Next, 0)
						}
					}
				}
				if rec != nil {
					there = max(there, rec.lines.Load())
				}
				bar.bar.ChangeMax64(max(there, 1))
				bar.describe(progressLine(all))
				bar.set(read)
			}
		}
	}()
	return func() {
		close(done)
		<-ended
		bar.done()
	}
}

// eventTime writes an event time for people.
func eventTime(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02 15:04:05") }
