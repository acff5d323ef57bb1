package compare

import (
	"fmt"
	"path"
	"slices"
	"strings"

	mortise "github.com/mortise-dev/mortise"
)

// Names of the columns that the comparison knows. A row needs the first; the
// others are read where they are there.
const (
	colID       = "instance_id"
	colTime     = "event_time"
	colRevision = "revision"
	colFinal    = "final"
	colLate     = "late"
	colDegraded = "degraded"
	colWeight   = "weight"
)

// Layout is the columns of rows, in the order of their values. Rows that come
// from one file, or look alike, share one Layout: it is known by its address.
type Layout struct {
	Names []string
	// Version is the experiment's version and configuration, in any form that is
	// equal where they are; empty where it is not known.
	Version string
}

// Row is one decoded instance. Its values belong to whoever read it and need
// stay as they are only while a call lasts.
type Row struct {
	Layout *Layout
	Values mortise.Row
}

// compiled is how rows of one layout are encoded and read again.
type compiled struct {
	layout             *Layout
	id, time, revision int   // where they stand in a row; -1 where they do not
	order              []int // the columns that are kept, by name
	names              []string
	columns            []column // of order
	same               string   // equal for layouts that keep the same columns
}

// column is one kept column.
type column struct {
	name     string
	role     role
	compared bool
}

// role is what a column says about why rows differ.
type role uint8

const (
	plain role = iota
	roleFinal
	roleLate
	roleDegraded
	roleWeight
	roleLabel      // label_x, label_x_time
	roleLabelCount // label_x_count
)

func roleOf(name string) role {
	switch name {
	case colFinal:
		return roleFinal
	case colLate:
		return roleLate
	case colDegraded:
		return roleDegraded
	case colWeight:
		return roleWeight
	}
	switch {
	case !strings.HasPrefix(name, "label_"):
		return plain
	case strings.HasSuffix(name, "_count"):
		return roleLabelCount
	}
	return roleLabel
}

func (o *Options) compile(l *Layout) (*compiled, error) {
	c := &compiled{layout: l, id: slices.Index(l.Names, colID), time: slices.Index(l.Names, colTime), revision: slices.Index(l.Names, colRevision)}
	if c.id < 0 {
		return nil, fmt.Errorf("there is no column %s: these are no instances; their columns are %s", colID, strings.Join(l.Names, ", "))
	}
	for i, name := range l.Names {
		if i == c.id || i == c.time || i == c.revision {
			continue
		}
		if o.isCompared(name) || roleOf(name) != plain {
			c.order = append(c.order, i)
		}
	}
	slices.SortFunc(c.order, func(a, b int) int { return strings.Compare(l.Names[a], l.Names[b]) })
	for _, i := range c.order {
		name := l.Names[i]
		c.names = append(c.names, name)
		c.columns = append(c.columns, column{name, roleOf(name), o.isCompared(name)})
	}
	c.same = strings.Join(c.names, "\x00")
	return c, nil
}

// isCompared reports whether a difference in the column counts.
func (o *Options) isCompared(name string) bool {
	if matches(o.Ignore, name) {
		return false
	}
	return len(o.Columns) == 0 || matches(o.Columns, name)
}

func matches(patterns []string, name string) bool {
	for _, p := range patterns {
		if ok, err := path.Match(p, name); ok && err == nil {
			return true
		}
	}
	return false
}
