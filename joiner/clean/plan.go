package clean

import (
	"fmt"
	"slices"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/internal/expression"
)

// plan is what one of a Reader's two moments reads and computes.
type plan struct {
	wanted   []string // names to find in the record
	slots    []int    // of wanted, in rows; -1 for an event time that is not declared
	timeAt   int      // in wanted; -1 where it is not read
	required []uint32 // of wanted: experiments that a missing or broken value breaks
	steps    []step   // derived fields, in order
}

// step computes one derived field for the experiments that need it.
type step struct {
	derive int
	users  uint32
}

// compute compiles experiment e's derived fields and its where. All declared
// fields of all experiments have their slots by now.
func (s *Source) compute(e int) error {
	exp, own := &s.opts.Experiments[e], s.slots[e]
	types := map[string]mortise.Type{}
	for _, f := range exp.Fields {
		types[f.Name] = f.Type
	}
	for _, d := range exp.Derive {
		if _, taken := own[d.Name]; taken || d.Name == "" {
			return fmt.Errorf("derived field %q has the name of another field, or none", d.Name)
		}
		at, err := s.share(&s.derive, d.Name, d.Program, e, types)
		if err != nil {
			return err
		}
		own[d.Name], types[d.Name] = len(s.fields)+at, d.Program.Type()
	}
	if exp.Where == nil {
		s.atOnce |= 1 << e
		return nil
	}
	if kind := exp.Where.Type().Kind; kind != mortise.Bool {
		return fmt.Errorf("where: %q is %s, not bool", exp.Where.Source(), kind)
	}
	_, err := s.share(&s.wheres, "where", exp.Where, e, types)
	return err
}

// share finds the unit that does what p does for experiment e, or adds it, and
// returns its position in units.
func (s *Source) share(units *[]unit, name string, p *expression.Program, e int, types map[string]mortise.Type) (int, error) {
	u := unit{name: name, program: p, users: 1 << e}
	for _, read := range p.Fields() {
		slot, ok := s.slots[e][read]
		if !ok {
			return 0, fmt.Errorf("%s: %q reads %s, which is not declared", name, p.Source(), read)
		}
		u.slots = append(u.slots, slot)
		if slot >= len(s.fields) {
			through := &s.derive[slot-len(s.fields)]
			u.through = append(append(u.through, through.through...), slot-len(s.fields))
			u.reads = append(u.reads, through.reads...)
			u.needs = append(u.needs, through.needs...)
			continue
		}
		u.reads = append(u.reads, slot)
		if !types[read].Nullable {
			u.needs = append(u.needs, slot)
		}
	}
	for at := range *units {
		if known := &(*units)[at]; known.same(&u) {
			known.users |= u.users
			return at, nil
		}
	}
	*units = append(*units, u)
	return len(*units) - 1, nil
}

// same reports whether two units give the same answer, and fail, for the same
// records.
func (u *unit) same(o *unit) bool {
	return u.name == o.name && u.program.Source() == o.program.Source() && u.program.Type() == o.program.Type() &&
		slices.Equal(u.slots, o.slots) && slices.Equal(u.needs, o.needs)
}

// planDecode reads every declared field and computes every derived one.
func (s *Source) planDecode() plan {
	p := plan{timeAt: -1}
	for slot := range s.fields {
		p.want(s, slot)
		p.required[slot] = s.fields[slot].required
	}
	for at := range s.derive {
		p.steps = append(p.steps, step{at, s.derive[at].users})
	}
	return p
}

// planIntake reads event time, keys, what the wheres read, and Also.
func (s *Source) planIntake() plan {
	p := plan{}
	users := make([]uint32, len(s.derive))
	for at := range s.wheres {
		p.take(s, &s.wheres[at], s.wheres[at].users, users)
	}
	keys := [][]int{s.parts}
	if s.opts.IntakeKeys {
		keys = append(keys, s.keys...)
	}
	for _, slot := range slices.Concat(keys...) {
		if at := slot - len(s.fields); at < 0 {
			p.want(s, slot)
		} else {
			p.take(s, &s.derive[at], s.derive[at].users, users)
			users[at] |= s.derive[at].users
		}
	}
	for _, slot := range s.also {
		p.want(s, slot)
	}
	for at := range users {
		if users[at] != 0 {
			p.steps = append(p.steps, step{at, users[at]})
		}
	}
	if p.timeAt = slices.Index(p.wanted, s.opts.TimeField); p.timeAt < 0 {
		p.timeAt = len(p.wanted)
		p.wanted, p.slots, p.required = append(p.wanted, s.opts.TimeField), append(p.slots, -1), append(p.required, 0)
	}
	return p
}

// take makes the plan read what u reads and compute the derived fields below it,
// for the given experiments.
func (p *plan) take(s *Source, u *unit, users uint32, deriveUsers []uint32) {
	for _, slot := range u.reads {
		p.want(s, slot)
	}
	for _, slot := range u.needs {
		p.required[slices.Index(p.slots, slot)] |= users
	}
	for _, at := range u.through {
		deriveUsers[at] |= users
	}
}

// paths says where what the plan wants lies in a record.
func (s *Source) paths(p *plan) [][]string {
	paths := make([][]string, len(p.wanted))
	for at, slot := range p.slots {
		if slot < 0 { // the event time, which may be declared all the same
			slot = s.fieldSlot(p.wanted[at])
		}
		if paths[at] = p.wanted[at : at+1]; slot < len(s.fields) {
			paths[at] = s.fields[slot].path
		}
	}
	return paths
}

func (p *plan) want(s *Source, slot int) {
	if !slices.Contains(p.slots, slot) {
		p.wanted, p.slots, p.required = append(p.wanted, s.fields[slot].name), append(p.slots, slot), append(p.required, 0)
	}
}
