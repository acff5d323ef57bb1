package experiments

import (
	"fmt"
	"slices"
	"strings"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/clean"
)

// Plan is what a set of experiments becomes: pipelines that share nothing.
type Plan struct{ Pipelines []*Pipeline }

// Pipeline is one read, one state and one close for one or more experiments.
type Pipeline struct {
	Experiments []*spec.Experiment
	Sources     []Input // main first, then the label sources by topic
	KeySets     []KeySet
	Join        joiner.Options
	Entities    []Entity    // that features are read by
	Features    []Feature   // that rows need, each once
	Dimensions  []Dimension // that rows need, each once

	share   string  // what experiments must have in common
	windows [][]int // [experiment][label in file order] → join window
	columns []*instances.Columns

	registry    Registry   // of records and rows that name their schemas; nil until Plan.UseRegistry
	rowIDs      []rowID    // per experiment; as registry
	dimensionAt [][]int    // [experiment][its needed dimensions, in file order] → index in Dimensions
	featureAt   [][]string // [experiment][index in Features] → its name there; empty where it does not need it
}

// Input is one topic that a pipeline reads.
type Input struct {
	ID      string // the topic, and what tells sources of one topic apart
	Topic   string
	Specs   []*spec.Source // per experiment: how it names and reads the topic
	Keys    [][]string     // fields of each key that its events carry, as Join.Sources lists them
	Shuffle *Shuffle       // where Topic is an internal one: what it is made from
}

// KeySet is one equality: the main stream's fields of one kind of key.
type KeySet struct{ Fields []string }

// NewPlan groups experiments into pipelines, in the order of their names: a
// pipeline's own name, and with it its consumer group and its state, must not
// depend on the order in which files are given.
func NewPlan(experiments []*spec.Experiment) (*Plan, error) {
	experiments = slices.Clone(experiments)
	slices.SortStableFunc(experiments, func(a, b *spec.Experiment) int { return strings.Compare(a.Name, b.Name) })
	plan := &Plan{}
	seen := map[string]string{}
	for _, e := range experiments {
		if other, ok := seen[e.Name]; ok {
			return nil, fmt.Errorf("%s: experiment %s is already defined by %s: names are unique in a run", e.Path, e.Name, other)
		}
		seen[e.Name] = e.Path
		placed := false
		for _, p := range plan.Pipelines {
			if placed = p.admits(e); placed {
				p.Experiments = append(p.Experiments, e)
				break
			}
		}
		if !placed {
			plan.Pipelines = append(plan.Pipelines, &Pipeline{Experiments: []*spec.Experiment{e}, share: shareKey(e)})
		}
	}
	for _, p := range plan.Pipelines {
		if err := p.compile(); err != nil {
			return nil, err
		}
	}
	return plan, nil
}

// compile fixes sources, keys and windows from the first experiment, which all
// others agree with.
func (p *Pipeline) compile() error {
	first := p.Experiments[0]
	p.addInput(source(first, first.Join.Main))
	p.addKey(0, first.Join.Key, first.Join.Key)
	o := &p.Join
	*o = joiner.Options{DelayMS: first.Join.Delay.Milliseconds(), Dedup: first.Join.Dedup, Late: latePolicy(first.Join.Late),
		Early: first.Instance.Emit != "at_close", Experiments: len(p.Experiments), DedupClasses: p.dedupClasses(), Sources: o.Sources}
	for _, i := range windowOrder(first) {
		l := &first.Join.Labels[i]
		in := p.addInput(source(first, l.Source))
		var mainFields, labelFields []string
		for _, pair := range l.On {
			mainFields, labelFields = append(mainFields, pair.Main), append(labelFields, pair.Label)
		}
		set := p.addKey(in, mainFields, labelFields)
		o.Windows = append(o.Windows, joiner.Window{Source: in, KeySet: set, BeforeMS: l.Before.Milliseconds(), WithinMS: l.Within.Milliseconds()})
	}
	for _, in := range p.Sources {
		o.Sources = append(o.Sources, joiner.Source{KeySets: p.setsOf(in)})
	}
	o.EnsureDefaults()
	p.addLookups()
	p.addDimensions()
	for _, e := range p.Experiments {
		if err := p.addColumns(e); err != nil {
			return err
		}
	}
	return o.Validate()
}

func (p *Pipeline) addColumns(e *spec.Experiment) error {
	windows := make([]int, len(e.Join.Labels))
	for w, label := range windowOrder(e) {
		windows[label] = w
	}
	p.windows = append(p.windows, windows)
	var names []string
	for _, l := range e.Join.Labels {
		names = append(names, l.Name)
	}
	var selected mortise.Schema
	for _, c := range e.Instance.Select {
		selected = append(selected, mortise.Field{Name: c.Name, Type: c.Type})
	}
	columns, err := instances.NewColumns(names, selected)
	if err != nil {
		return fmt.Errorf("%s: %w", e.Path, err)
	}
	p.columns = append(p.columns, columns)
	return nil
}

func (p *Pipeline) addInput(s *spec.Source) int {
	id := inputID(p.Experiments[0], s)
	for i := range p.Sources {
		if p.Sources[i].ID == id {
			return i
		}
	}
	in := Input{ID: id, Topic: s.Topic}
	for _, e := range p.Experiments {
		for i := range e.Sources {
			if inputID(e, &e.Sources[i]) == id {
				in.Specs = append(in.Specs, &e.Sources[i])
				break
			}
		}
	}
	p.Sources = append(p.Sources, in)
	return len(p.Sources) - 1
}

// addKey returns the key set that joins the main stream's fields with the
// input's, adding it to both sides if it is new.
func (p *Pipeline) addKey(in int, mainFields, labelFields []string) int {
	for set := range p.KeySets {
		if !slices.Equal(p.KeySets[set].Fields, mainFields) {
			continue
		}
		at := p.keySlot(in, set)
		if at < 0 {
			p.Sources[in].Keys = setAt(p.Sources[in].Keys, set, labelFields)
			return set
		}
		if slices.Equal(p.Sources[in].Keys[at], labelFields) {
			return set
		}
	}
	set := len(p.KeySets)
	p.KeySets = append(p.KeySets, KeySet{Fields: mainFields})
	p.Sources[0].Keys = setAt(p.Sources[0].Keys, set, mainFields)
	p.Sources[in].Keys = setAt(p.Sources[in].Keys, set, labelFields)
	return set
}

func (p *Pipeline) keySlot(in, set int) int {
	if keys := p.Sources[in].Keys; set < len(keys) && keys[set] != nil {
		return set
	}
	return -1
}

func setAt(keys [][]string, i int, fields []string) [][]string {
	for len(keys) <= i {
		keys = append(keys, nil)
	}
	keys[i] = fields
	return keys
}

// setsOf lists the key sets that an input carries; compact gives their fields in the same order.
func (p *Pipeline) setsOf(in Input) (sets []int) {
	for set, fields := range in.Keys {
		if fields != nil {
			sets = append(sets, set)
		}
	}
	return sets
}

func (in *Input) compact() (keys [][]string) {
	for _, fields := range in.Keys {
		if fields != nil {
			keys = append(keys, fields)
		}
	}
	return keys
}

func latePolicy(s string) joiner.Late {
	switch s {
	case "dead_letter":
		return joiner.LateDeadLetter
	case "drop":
		return joiner.LateDrop
	}
	return joiner.LateEmit
}

// Columns returns the columns of the pipeline's i-th experiment.
func (p *Pipeline) Columns(i int) *instances.Columns { return p.columns[i] }

// Name is the pipeline's name: its experiments', joined by "+".
func (p *Pipeline) Name() string {
	var names []string
	for _, e := range p.Experiments {
		names = append(names, e.Name)
	}
	return strings.Join(names, "+")
}

// cleaners compiles the cleaning of every input over all experiments.
func (p *Pipeline) cleaners() ([]*clean.Source, error) {
	var all []*clean.Source
	for i := range p.Sources {
		in := &p.Sources[i]
		first := in.Specs[0]
		opts := clean.Options{Name: first.Name, TimeField: first.TimeField, TimeUnit: first.TimeUnit, Keys: in.compact(),
			PartitionBy: PartitionFields(p.Experiments[0], first), Strict: i != 0, IntakeKeys: i != 0 || p.Join.Early}
		if i == 0 {
			opts.Also = p.arrivalKeys()
		}
		if first.Clean != "" {
			fn, ok := clean.Lookup(first.Clean)
			if !ok {
				return nil, fmt.Errorf("%s: source %s: clean function %q is not registered; known: %s", p.Experiments[0].Path, first.Name, first.Clean, strings.Join(clean.Registered(), ", "))
			}
			opts.Clean = fn
		}
		format, err := p.format(first)
		if err != nil {
			return nil, fmt.Errorf("%s: source %s: %w", p.Experiments[0].Path, first.Name, err)
		}
		opts.Format = format
		for _, s := range in.Specs {
			e := clean.Experiment{Fields: s.Fields, From: s.From, Where: s.Where}
			for _, d := range s.Derive {
				e.Derive = append(e.Derive, clean.Derived{Name: d.Name, Program: d.Program})
			}
			opts.Experiments = append(opts.Experiments, e)
		}
		c, err := clean.New(opts)
		if err != nil {
			return nil, fmt.Errorf("%s: source %s: %w", p.Experiments[0].Path, first.Name, err)
		}
		all = append(all, c)
	}
	return all, nil
}

// Inputs lists the topics that the pipeline reads, each once.
func (p *Pipeline) Inputs() (topics []string) {
	for _, in := range p.Sources {
		if !slices.Contains(topics, in.Topic) {
			topics = append(topics, in.Topic)
		}
	}
	return topics
}

// Outputs lists the topics that the pipeline may write, each once.
func (p *Pipeline) Outputs() (topics []string) {
	for _, e := range p.Experiments {
		for _, name := range []string{e.Output.Topic, e.Output.DeadLetter.Topic} {
			if name != "" && !slices.Contains(topics, name) {
				topics = append(topics, name)
			}
		}
	}
	return topics
}
