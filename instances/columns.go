package instances

import (
	"fmt"

	mortise "github.com/mortise-dev/mortise"
)

// Instance is one row, as the stages before have filled it. The slices belong to
// whoever filled it; encoders only read.
type Instance struct {
	ID       []byte       // the canonical join key; UTF-8
	TimeMS   int64        // the impression's event time, ms UTC
	Labels   []LabelValue // in the order of the experiment's labels
	Selected mortise.Row  // in `select` order; what is null or invalid is written as null
	Weight   float64      // 1 / sampling rate
	Revision int32        // 0 for the first emission of this impression
	Final    bool         // false for a provisional row
	Late     bool         // the impression came after its deadline
	Degraded []string     // dimensions not served as asked, as `dim:how`
}

// LabelValue is what one label came to.
type LabelValue struct {
	Value   float64 // 1 for a match, or the sum of the label's `value`; 0 when none
	FirstMS int64   // the first match's event time, ms UTC; read only if Count > 0
	Count   int64   // matches in the window
}

// Columns are an experiment's columns: names, order and types. They are a
// contract with trainers:
//
//	instance_id, event_time,
//	label_<name>, label_<name>_time, label_<name>_count   for each label,
//	the selected fields in their order,
//	weight, revision, final, late, degraded
//
// Columns is immutable.
type Columns struct {
	labels   []string
	selected mortise.Schema
	schema   mortise.Schema
}

// NewColumns compiles the columns for labels and selected fields, both in the
// order of the experiment file. The error names a column that there would be
// twice, or one without a name or type.
func NewColumns(labels []string, selected mortise.Schema) (*Columns, error) {
	c := &Columns{labels: labels, selected: selected}
	c.add("instance_id", mortise.Type{Kind: mortise.String})
	c.add("event_time", mortise.Type{Kind: mortise.Timestamp})
	for _, label := range labels {
		if label == "" {
			return nil, fmt.Errorf("instance: a label has no name")
		}
		c.add("label_"+label, mortise.Type{Kind: mortise.Float})
		c.add("label_"+label+"_time", mortise.Type{Kind: mortise.Timestamp, Nullable: true})
		c.add("label_"+label+"_count", mortise.Type{Kind: mortise.Int})
	}
	for _, f := range selected {
		if f.Name == "" || f.Type.Kind < mortise.String {
			return nil, fmt.Errorf("instance: selected column %q has no name or no type", f.Name)
		}
		c.add(f.Name, f.Type)
	}
	c.add("weight", mortise.Type{Kind: mortise.Float})
	c.add("revision", mortise.Type{Kind: mortise.Int})
	c.add("final", mortise.Type{Kind: mortise.Bool})
	c.add("late", mortise.Type{Kind: mortise.Bool})
	c.add("degraded", mortise.Type{Kind: mortise.List, Elem: mortise.String})
	if err := c.checkUnique(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Columns) add(name string, typ mortise.Type) {
	c.schema = append(c.schema, mortise.Field{Name: name, Type: typ})
}

func (c *Columns) checkUnique() error {
	for i, f := range c.schema {
		if c.schema.Index(f.Name) < i {
			return fmt.Errorf("instance: there would be two columns %s: rename the label, or give the selected field another name with `derive`", f.Name)
		}
	}
	return nil
}

// Schema returns all columns in order, the built-in ones included. Where a
// format has narrower types, `revision` is an int32. The caller does not change it.
func (c *Columns) Schema() mortise.Schema { return c.schema }

// Labels returns the labels' names in order.
func (c *Columns) Labels() []string { return c.labels }

// Selected returns the selected columns in order.
func (c *Columns) Selected() mortise.Schema { return c.selected }
