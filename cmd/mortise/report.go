package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/instances/profile"
	page "github.com/mortise-dev/mortise/instances/report"
)

// mustTakeReport makes sure, before the work begins, that the page which --report
// asks for can be written; an empty path asks for none.
func mustTakeReport(path string) error {
	if path == "" {
		return nil
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return usageError{fmt.Errorf("--report %s: this is a directory: name the file", path)}
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return usageError{fmt.Errorf("--report %s: there is no directory %s", path, filepath.Dir(path))}
	}
	return nil
}

// writeReport writes the page whole, in place of one that there is.
func writeReport(path string, r *page.Report) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".report-*")
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("writing the report to %s: %w", path, err), os.Remove(f.Name()))
		}
	}()
	w := bufio.NewWriter(f)
	if err := page.Write(w, r); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(w.Flush(), f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// experimentReport is what a page says of one experiment.
func experimentReport(e *spec.Experiment, l *mortise.Ledger, p *profile.Summary) page.Experiment {
	r := page.Experiment{Name: e.Name, Version: e.Version, Config: e.Hash, DelayMS: e.Join.Delay.Milliseconds(), Ledger: l, Profile: p}
	if p != nil && l.Instances != p.Rows {
		r.Notes = append(r.Notes, fmt.Sprintf("The ledger counts %s instances, all that were ever written for this experiment here. The rest of the page describes the %s that this run wrote itself.",
			thousands(l.Instances), thousands(p.Rows)))
	}
	return r
}

// report is the page about a run.
func (s *summary) report(took time.Duration) *page.Report {
	r := &page.Report{Title: "mortise run", Subtitle: fmt.Sprintf("a run of %s", took.Round(time.Second/10))}
	if s.Complete {
		r.Subtitle += ", to the end of its input: every window is closed"
	}
	where := s.Brokers
	if s.Embedded != "" {
		where = "the embedded broker in " + s.Embedded
	}
	for i := range s.Experiments {
		e := &s.Experiments[i]
		if e.profile == nil {
			continue
		}
		one := experimentReport(e.spec, &e.Ledger, e.profile)
		one.Facts = []page.Fact{
			{Name: "instances", Value: fmt.Sprintf("topic %s on %s", e.Topic, where)},
			{Name: "dead letters", Value: fmt.Sprintf("%s in %s", thousands(e.DeadLetters), e.DeadLetter)},
			{Name: "consumer group", Value: e.Group}, {Name: "state", Value: s.State},
		}
		r.Experiments = append(r.Experiments, one)
	}
	if len(r.Experiments) == 1 {
		r.Title = r.Experiments[0].Name
	}
	return r
}
