package dimensions

import (
	"github.com/mortise-dev/mortise/experiments"
)

// Status tells how every dimension of the set is read, in the order of the plan. It
// may be called from any goroutine, until Close.
func (s *Set) Status() (all []experiments.DimensionStatus) {
	if s == nil {
		return nil
	}
	for _, t := range s.tables {
		d := t.dimension.Definition
		st := experiments.DimensionStatus{ID: t.dimension.ID, Name: d.Name, Experiments: t.users, Store: d.Store.Kind, AsOf: d.AsOf, Stats: t.reader.Stats()}
		if c, ok := t.rows.(*clusters); ok {
			clusters := c.Table.Stats()
			st.Clusters = &clusters
		}
		if t.stream != nil {
			changes := t.stream.Status()
			st.Changes = &changes
		}
		all = append(all, st)
	}
	return all
}
