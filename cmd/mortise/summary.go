package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/kafka"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/instances/profile"
)

// summary is what a run has come to: the ledger over all experiments, then each one's.
type summary struct {
	Complete    bool                     `json:"complete"` // all input was consumed and every window is closed
	Impressions mortise.ImpressionLedger `json:"impressions"`
	Labels      mortise.LabelLedger      `json:"labels"`
	Instances   int64                    `json:"instances"`
	Positives   int64                    `json:"positives"`
	Provisional int64                    `json:"provisional"`
	LateEmitted int64                    `json:"late_emitted"`
	DeadLetters int64                    `json:"dead_letters"`
	Experiments []experimentSummary      `json:"experiments"`
	Brokers     string                   `json:"brokers"`
	Embedded    string                   `json:"embedded,omitempty"`
	State       string                   `json:"state"`

	flags    string // with which another command reaches the same brokers
	group    string // and --group, where it was given
	untilEnd bool
}

type experimentSummary struct {
	Name        string            `json:"name"`
	Version     int               `json:"version"`
	Group       string            `json:"group"`
	Topic       string            `json:"topic,omitempty"`
	Parquet     *parquetSummary   `json:"parquet,omitempty"`
	DeadLetter  string            `json:"dead_letter"` // topic or file
	DeadLetters int64             `json:"dead_letters"`
	Ledger      mortise.Ledger    `json:"ledger"`
	Sample      []json.RawMessage `json:"sample,omitempty"`

	spec    *spec.Experiment
	profile *profile.Summary // nil without --report
}

// parquetSummary is what a run has published of an experiment's dataset.
type parquetSummary struct {
	Path     string `json:"path"`
	Rows     int64  `json:"rows"`
	Bytes    int64  `json:"bytes"`
	Parts    int64  `json:"parts"`
	Complete int64  `json:"complete"` // folders that were given _SUCCESS
	Missing  int64  `json:"missing"`  // offsets that were gone, with --accept-gap
}

// summarize adds up what the workers did and reads back some rows.
func (c *console) summarize(ctx context.Context, f *runFlags, cr *crew, cl *cluster, complete bool) (*summary, error) {
	sum := &summary{Complete: complete, Brokers: cl.address(), Embedded: cl.embedded, State: f.stateDir(cl), flags: cl.flags(), untilEnd: f.untilEnd}
	if f.group != "" {
		sum.group = " --group " + f.group
	}
	shown, err := cl.values(ctx, c, cr.plan)
	if err != nil {
		return nil, err
	}
	var total mortise.Ledger
	for i, w := range cr.workers {
		st := w.Status()
		for j, e := range cr.plan.Pipelines[i].Experiments {
			if j >= len(st.Experiments) {
				continue // stopped before its first round
			}
			l := st.Experiments[j].Ledger
			if complete && j < len(st.Others) {
				l.Add(&st.Others[j]) // what other workers did
			}
			if err := l.Check(); err != nil {
				return nil, fmt.Errorf("experiment %s: %w", e.Name, err)
			}
			total.Add(&l)
			es := experimentSummary{Name: e.Name, Version: e.Version, Group: cr.groups[i], Topic: e.Output.Topic,
				DeadLetter: e.Output.DeadLetter.Topic, DeadLetters: deadLetters(&l, e.Join.Late), Ledger: l, spec: e, profile: w.Profile(j)}
			if es.DeadLetter == "" {
				es.DeadLetter = e.Output.DeadLetter.File
			}
			rows := e.Output.Topic
			if a := cr.archives[i].of(e.Name); a != nil {
				st := a.archiver.Status()
				es.Parquet, rows = &parquetSummary{a.path, st.Rows, st.Bytes, st.Parts, st.Completed, st.Missing}, a.way.Topic
			}
			es.Sample = sampleRows(ctx, cl.Connection, shown, rows)
			sum.DeadLetters += es.DeadLetters
			sum.Experiments = append(sum.Experiments, es)
		}
	}
	sum.Impressions, sum.Labels, sum.Instances, sum.Positives = total.Impressions, total.Labels, total.Instances, total.Positives
	sum.Provisional, sum.LateEmitted = total.Provisional, total.LateEmitted
	return sum, nil
}

// empty reports whether no experiment has had any input.
func (s *summary) empty() bool { return s.Impressions.In == 0 && s.Labels.In == 0 }

func deadLetters(l *mortise.Ledger, late string) (n int64) {
	for r := mortise.ReasonFiltered; r < mortise.NumReasons; r++ {
		if r.IsDeadLetter() {
			n += l.Impressions.Dropped[r] + l.Labels.Dropped[r]
		}
	}
	if late == "dead_letter" {
		n += l.Impressions.Dropped[mortise.ReasonLate]
	}
	return n
}

const (
	sampledRows = 3
	scannedRows = 20_000 // how far to look for a positive one
)

// sampleRows reads some rows back, a positive one among them if there is one
// near. It is a courtesy: a topic that cannot be read shows none.
func sampleRows(ctx context.Context, conn kafka.Connection, shown *values, topic string) []json.RawMessage {
	var rows []json.RawMessage
	scanned := 0
	err := kafka.Tail(ctx, conn, topic, true, func(m *kafka.Message) error {
		scanned++
		row, err := shown.json(m)
		if err != nil {
			return err
		}
		positive := isPositive(row)
		if len(rows) < sampledRows-1 || positive && len(rows) < sampledRows {
			rows = append(rows, bytes.Clone(row))
		}
		if len(rows) == sampledRows || scanned == scannedRows {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil
	}
	return rows
}

// isPositive looks for a label count above 0.
func isPositive(row []byte) bool {
	var columns map[string]json.RawMessage
	if json.Unmarshal(row, &columns) != nil {
		return false
	}
	for name, v := range columns {
		if strings.HasPrefix(name, "label_") && strings.HasSuffix(name, "_count") && string(v) != "0" {
			return true
		}
	}
	return false
}

func (c *console) printSummary(s *summary, args []string) {
	for i := range s.Experiments {
		c.printExperiment(s, &s.Experiments[i])
	}
	if len(s.Experiments) == 0 {
		fmt.Fprintln(c.out, "stopped before anything was read")
		return
	}
	first := s.Experiments[0]
	switch {
	case !s.Complete && s.untilEnd:
		fmt.Fprint(c.out, "stopped before the end: the same command goes on from here\n\n")
	case s.Complete && s.empty():
		fmt.Fprintf(c.out, "the topics are empty: publish to them, as with --input or\n  mortise replay %s%s --input SOURCE=FILES\n\n", strings.Join(args, " "), s.flags)
	}
	fmt.Fprintln(c.out, "next")
	if first.Topic != "" {
		fmt.Fprintf(c.out, "  mortise tail %s%s --until-end\n", first.Topic, s.flags)
	}
	if p := first.Parquet; p != nil && first.Topic != "" && p.Rows > 0 {
		fmt.Fprintf(c.out, "  mortise diff %s topic:%s%s\n", p.Path, first.Topic, s.flags)
	}
	if s.DeadLetters > 0 {
		for _, e := range s.Experiments {
			if e.DeadLetters > 0 && !strings.ContainsAny(e.DeadLetter, "/\\") {
				fmt.Fprintf(c.out, "  mortise tail %s%s --until-end\n", e.DeadLetter, s.flags)
			}
		}
	}
	fmt.Fprintf(c.out, "  mortise status %s%s%s\n  mortise explain %s\n", strings.Join(args, " "), s.flags, s.group, strings.Join(args, " "))
}

func (c *console) printExperiment(s *summary, e *experimentSummary) {
	l := &e.Ledger
	fmt.Fprintf(c.out, "%s v%d: %s impressions became %s instances, %s of them positive%s\n\n", e.Name, e.Version,
		thousands(l.Impressions.In), thousands(l.Instances), thousands(l.Positives), share(l.Positives, l.Instances))
	c.printLedger(l)
	if l.LateEmitted > 0 {
		fmt.Fprintf(c.out, "  %s instances came late and are flagged so\n", thousands(l.LateEmitted))
	}
	if l.Provisional > 0 {
		fmt.Fprintf(c.out, "  %s provisional rows were written before their windows closed\n", thousands(l.Provisional))
	}
	where := s.Brokers
	if s.Embedded != "" {
		where = "the embedded broker in " + s.Embedded
	}
	fmt.Fprintln(c.out)
	if e.Topic != "" {
		fmt.Fprintf(c.out, "  instances     topic %s on %s\n", e.Topic, where)
	}
	if p := e.Parquet; p != nil {
		fmt.Fprintf(c.out, "  parquet       %s rows in %s of %s in %s, %s complete\n", thousands(p.Rows), count(int(p.Parts), "part"), size(p.Bytes), p.Path, count(int(p.Complete), "folder"))
	}
	fmt.Fprintf(c.out, "  dead letters  %s in %s\n  state         %s\n", thousands(e.DeadLetters), e.DeadLetter, s.State)
	for i, row := range e.Sample {
		if i == 0 {
			fmt.Fprintf(c.out, "\n  %d rows\n", len(e.Sample))
		}
		fmt.Fprintf(c.out, "    %s\n", row)
	}
	fmt.Fprintln(c.out)
}

// pendingText is how many impressions are pending, and how many wait for a dimension
// beyond their close, if any do.
func pendingText(i *mortise.ImpressionLedger) string {
	if i.Parked == 0 {
		return thousands(i.Pending)
	}
	return thousands(i.Pending) + " + parked " + thousands(i.Parked)
}

// printLedger prints an account, a line a side.
func (c *console) printLedger(l *mortise.Ledger) {
	i, b := &l.Impressions, &l.Labels
	fmt.Fprintf(c.out, "  impressions in %s = emitted %s + pending %s + dropped %s%s\n", thousands(i.In), thousands(i.Emitted), pendingText(i), thousands(i.Dropped.Total()), reasons(&i.Dropped))
	fmt.Fprintf(c.out, "  labels in %s = attached %s + unmatched %s + late %s + pending %s + dropped %s%s\n", thousands(b.In), thousands(b.Attached), thousands(b.Unmatched),
		thousands(b.Late), thousands(b.Pending), thousands(b.Dropped.Total()), reasons(&b.Dropped))
}

func share(part, of int64) string {
	if of == 0 {
		return ""
	}
	return fmt.Sprintf(" (%.3g %%)", 100*float64(part)/float64(of))
}

func reasons(d *mortise.Dropped) string {
	var parts []string
	for r, n := range d {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", mortise.Reason(r), thousands(n)))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// thousands writes a count with separators.
func thousands(n int64) string {
	text := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, text = "-", text[1:]
	}
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return sign + text
}

// progressLine is what the bar says while a run goes on.
func progressLine(all []experiments.Status) string {
	var l mortise.Ledger
	watermark := int64(-1)
	for _, s := range all {
		for i := range s.Experiments {
			l.Add(&s.Experiments[i].Ledger)
		}
		for _, t := range s.Tasks {
			if t.WatermarkMS > 0 && (watermark < 0 || t.WatermarkMS < watermark) {
				watermark = t.WatermarkMS
			}
		}
	}
	text := fmt.Sprintf("%s in, %s held, %s out, %s positive", thousands(l.Impressions.In), thousands(l.Impressions.Pending), thousands(l.Instances), thousands(l.Positives))
	if watermark > 0 {
		text += ", event time " + eventTime(watermark)
	}
	return text + archivedLine(all)
}

// archivedLine says how far rows are archived; nothing where none are.
func archivedLine(all []experiments.Status) string {
	var rows, lag int64
	archives := 0
	for _, s := range all {
		for i := range s.Archives {
			a := &s.Archives[i]
			archives, rows = archives+1, rows+a.Rows
			for _, p := range a.Partitions {
				lag += max(p.End-p.Archived, 0)
			}
		}
	}
	switch {
	case archives == 0:
		return ""
	case lag == 0:
		return fmt.Sprintf(", %s in Parquet", thousands(rows))
	}
	return fmt.Sprintf(", %s in Parquet, %s behind", thousands(rows), thousands(lag))
}
