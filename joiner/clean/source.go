package clean

import (
	"fmt"
	"slices"
	"strings"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/internal/expression"
)

// maxExperiments is how many bits an Accept mask has.
const maxExperiments = 32

// Options says how one source is read by the experiments that share a pipeline.
type Options struct {
	// Name is the source's, for messages.
	Name string
	// TimeField and TimeUnit say where the event time is: s, ms, us, ns or
	// rfc3339. The field need not be declared.
	TimeField, TimeUnit string
	// Keys are the join keys to extract, each a list of fields, declared or
	// derived. A key in several fields is their values joined by `|`.
	Keys [][]string
	// PartitionBy are the fields that the topic is keyed by; none skips the
	// partition key.
	PartitionBy []string
	// Also are declared fields that Intake reads too, for Reader.Taken.
	Also []string
	// Experiments share the pipeline, at most 32; bit i of every mask is the i-th.
	Experiments []Experiment
	// Format is how records are encoded. The default, nil, is JSON.
	Format Format
	// Clean is the custom clean function. It is given records as they come and
	// makes JSON of them, whatever Format says. The default is none.
	Clean Func
	// Strict makes Intake validate whole records, which it otherwise leaves to
	// Decode. It is for labels: a broken one must not count as a match.
	Strict bool
	// IntakeKeys makes Intake extract Keys: always for labels, for impressions
	// only where a policy needs it.
	IntakeKeys bool
}

// Experiment is what one experiment asks of the source.
type Experiment struct {
	Fields mortise.Schema      // declared
	From   map[string][]string // where a declared field lies, when it is not under its name at the top
	Where  *expression.Program // bool, over declared and derived fields; nil takes every record
	Derive []Derived           // in file order: each may read the ones before it
}

// Derived is one computed field.
type Derived struct {
	Name    string
	Program *expression.Program
}

// Source is a source compiled over all experiments. It is immutable; every
// goroutine makes its own Reader. Its rows hold the declared fields of all
// experiments, each once, and then the derived ones, where equal ones are shared.
type Source struct {
	opts   Options
	unit   timeUnit
	fields []field
	derive []unit
	wheres []unit
	slots  []map[string]int // per experiment: a field's position in rows
	keys   [][]int
	parts  []int
	also   []int
	atOnce uint32 // experiments without a where
	intake plan
	decode plan
}

// field is one declared field.
type field struct {
	name     string
	path     []string // where it lies in a record
	typ      mortise.Type
	unit     timeUnit // how a timestamp given as a number is read
	required uint32   // experiments that declare it without ?
}

// unit is one expression, shared by the experiments for which it means the same.
type unit struct {
	name    string // the derived field's, or `where`
	program *expression.Program
	slots   []int  // in rows, of the program's fields
	reads   []int  // declared fields that it reads, through derived ones too
	needs   []int  // those of reads that must not be null
	through []int  // derived fields that it reads, through others too
	users   uint32 // experiments
}

// New compiles a source. Errors name the source and the field at fault.
func New(opts Options) (*Source, error) {
	s := &Source{opts: opts}
	if err := s.compile(); err != nil {
		return nil, fmt.Errorf("source %s: %w", opts.Name, err)
	}
	return s, nil
}

func (s *Source) compile() (err error) {
	opts := &s.opts
	if n := len(opts.Experiments); n == 0 || n > maxExperiments {
		return fmt.Errorf("%d experiments share it: a pipeline takes 1 to %d; split them over several runs", n, maxExperiments)
	}
	if opts.TimeField == "" {
		return fmt.Errorf("event time needs a field")
	}
	if s.unit, err = parseUnit(opts.TimeUnit); err != nil {
		return err
	}
	for e := range opts.Experiments {
		if err := s.declare(e); err != nil {
			return err
		}
	}
	for e := range opts.Experiments {
		if err := s.compute(e); err != nil {
			return err
		}
	}
	for _, names := range opts.Keys {
		key, err := s.keySlots(names)
		if err != nil {
			return fmt.Errorf("key: %w", err)
		}
		s.keys = append(s.keys, key)
	}
	if len(opts.PartitionBy) > 0 {
		if s.parts, err = s.keySlots(opts.PartitionBy); err != nil {
			return fmt.Errorf("partition_by: %w", err)
		}
	}
	for _, name := range opts.Also {
		slot := s.fieldSlot(name)
		if slot == len(s.fields) {
			return fmt.Errorf("field %s is not declared: add it to the source's fields", name)
		}
		s.also = append(s.also, slot)
	}
	s.intake, s.decode = s.planIntake(), s.planDecode()
	return nil
}

// declare adds experiment e's declared fields.
func (s *Source) declare(e int) error {
	own := map[string]int{}
	s.slots = append(s.slots, own)
	for _, f := range s.opts.Experiments[e].Fields {
		if _, twice := own[f.Name]; twice || f.Name == "" {
			return fmt.Errorf("field %q is declared twice or has no name", f.Name)
		}
		slot := s.fieldSlot(f.Name)
		if slot == len(s.fields) {
			known := field{name: f.Name, typ: f.Type, unit: unitMillis, path: s.pathOf(e, f.Name)}
			if f.Name == s.opts.TimeField && s.unit != unitRFC3339 {
				known.unit = s.unit
			}
			s.fields = append(s.fields, known)
		}
		known := &s.fields[slot]
		if known.typ.Kind != f.Type.Kind || known.typ.Elem != f.Type.Elem {
			return fmt.Errorf("field %s is declared as %s and as %s by experiments that share the source: declare one type, or run them apart", f.Name, known.typ, f.Type)
		}
		if path := s.pathOf(e, f.Name); !slices.Equal(known.path, path) {
			return fmt.Errorf("field %s is read from %s and from %s by experiments that share the source: give one of them another name, or run them apart", f.Name, strings.Join(known.path, "."), strings.Join(path, "."))
		}
		if !f.Type.Nullable {
			known.required |= 1 << e
			known.typ.Nullable = false
		}
		own[f.Name] = slot
	}
	return nil
}

// pathOf says where a field of experiment e lies.
func (s *Source) pathOf(e int, name string) []string {
	if path := s.opts.Experiments[e].From[name]; len(path) > 0 {
		return path
	}
	return []string{name}
}

// fieldSlot returns a declared field's slot, or the next free one.
func (s *Source) fieldSlot(name string) int {
	for slot := range s.fields {
		if s.fields[slot].name == name {
			return slot
		}
	}
	return len(s.fields)
}

// keySlots resolves a key's fields. Every experiment that has such a field must
// mean the same by it.
func (s *Source) keySlots(names []string) ([]int, error) {
	if len(names) == 0 {
		return nil, fmt.Errorf("it needs at least one field")
	}
	key := make([]int, len(names))
	for i, name := range names {
		key[i] = -1
		for _, own := range s.slots {
			slot, ok := own[name]
			if ok && key[i] >= 0 && key[i] != slot {
				return nil, fmt.Errorf("field %s is computed in different ways by experiments that share the source", name)
			}
			if ok {
				key[i] = slot
			}
		}
		if key[i] < 0 {
			return nil, fmt.Errorf("field %s is not declared: add it to the source's fields", name)
		}
		if s.slotType(key[i]).Kind == mortise.List {
			return nil, fmt.Errorf("field %s is a list: a key needs single values", name)
		}
	}
	return key, nil
}

func (s *Source) slotType(slot int) mortise.Type {
	if slot < len(s.fields) {
		return s.fields[slot].typ
	}
	return s.derive[slot-len(s.fields)].program.Type()
}

func (s *Source) slotName(slot int) string {
	if slot < len(s.fields) {
		return s.fields[slot].name
	}
	return s.derive[slot-len(s.fields)].name
}

// Slot returns the position in rows of experiment exp's declared or derived
// field; -1 if it has no such field.
func (s *Source) Slot(exp int, field string) int {
	if slot, ok := s.slots[exp][field]; ok {
		return slot
	}
	return -1
}

// Width is the length of the rows that Decode returns.
func (s *Source) Width() int { return len(s.fields) + len(s.derive) }
