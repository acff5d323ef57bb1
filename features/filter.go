package features

import mortise "github.com/mortise-dev/mortise"

// Filter tells, before they are added anywhere, which events of a source its
// features take: to send on no others. The source's groups have all one entity.
// One goroutine uses it.
type Filter struct{ in intake }

// NewFilter makes one. slot finds the source's fields in the rows that Take is given.
func (s *Set) NewFilter(source int, slot func(field string) int) *Filter {
	return &Filter{newIntake(s, source, func(_ int, field string) int { return slot(field) })}
}

// Take returns the key of the row's entity, valid until the next call and nil where
// a part of it is null, and whether any feature would take the event if it has
// one. An expression that fails on the row is its fault, as Writer.Add returns it.
func (f *Filter) Take(row mortise.Row) (entity []byte, taken bool, fault *mortise.RecordError) {
	in := &f.in
	in.begin(row, nil)
	if len(in.groups) == 0 {
		return nil, false, nil
	}
	entity, ok := in.entity(&in.groups[0])
	if !ok {
		return nil, false, nil
	}
	for i := range in.groups {
		gi := &in.groups[i]
		for c := range gi.columns {
			if _, ok := in.value(&gi.columns[c]); ok {
				taken = true // and on: faults are those of all columns
			}
		}
	}
	in.kept = 0
	return entity, taken, in.fault
}
