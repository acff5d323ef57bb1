package experiments

import (
	"context"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/joiner"
)

// Enrichment fills rows, between their close and their encoding, with features as
// of the impression. A closed impression waits for it, and for Dimensions, in a
// Batch, beside intake: a slow store delays its own rows, not what comes in. Its
// methods may be called by several tasks at once.
type Enrichment interface {
	// FinalMS is the event time up to which features are final: impressions of
	// that time and later are held open, whatever their deadline. It answers at
	// once, as of some moments ago.
	FinalMS() int64
	// Enrich fills Features of every impression of b. An error that trying again
	// can mend is tried again inside; any other stops the worker.
	Enrich(ctx context.Context, b *Batch) error
}

// Batch is the closed impressions of one task that wait for their features and
// dimensions. The task gives it away to those who read them and takes it back.
type Batch struct {
	Partition   int32
	Impressions []Impression
	// Dimensions are the lookups to be answered, for each of Pipeline.Dimensions
	// those of the impressions whose rows need it.
	Dimensions [][]dimjoin.Answer

	observed [][]dimjoin.Answer // the same, of those that were answered on arrival
	arrivals uint64             // which reads on arrival it waits for

	rows     []deferredRow
	lastOpen uint64 // which Open the last impression is of
	text     arena
	values   slab[mortise.Value]
	keys     slab[[]byte]
	places   slab[place]
	labels   slab[instances.LabelValue]
	done     chan struct{} // closed when all that fills it has returned
	errs     []error       // of these
}

// Impression is one closed impression, or one that is emitted early or late.
type Impression struct {
	TimeMS int64
	// Keys are the entities, one for each of Pipeline.Entities, in canonical form;
	// nil where a part is null: then there is nothing to read.
	Keys [][]byte
	// Features is to be filled, one value for each of Pipeline.Features. Text in it
	// is valid as long as the batch is.
	Features mortise.Row

	env     mortise.Row // main fields that are needed, then Features, then dimensions, then what is computed of them
	answers []place     // per Pipeline.Dimensions
	entry   joiner.Entry
}

// place is where in its batch an impression's lookup of a dimension is.
type place struct {
	list int8 // none, or in which list
	at   int32
}

const (
	notLookedUp int8 = iota
	inDimensions
	inObserved
)

// answer returns the impression's answer of a dimension; nil where it has none.
func (b *Batch) answer(im *Impression, dim int) *dimjoin.Answer {
	switch p := im.answers[dim]; p.list {
	case inDimensions:
		return &b.Dimensions[dim][p.at]
	case inObserved:
		return &b.observed[dim][p.at]
	}
	return nil
}

// deferredRow is one experiment's row of an impression.
type deferredRow struct {
	impression int
	exp        int
	positive   bool
	from       *parkedRow // what it was while it waited; nil where it has not
	emission   joiner.Emission
	instance   instances.Instance // without Selected
}

// Entity is the fields that some features are read by.
type Entity struct {
	Fields []string // of the main source
}

// Feature is one aggregation that rows of the pipeline need, each once, whatever
// the experiments call it.
type Feature struct {
	// ID and SourceID stand for the definition and for the records that it is over:
	// what is equal has the same values, in whichever experiment and run.
	ID, SourceID string
	Experiment   *spec.Experiment // the first that declares it
	Source       *spec.Source     // as that experiment reads it
	Definition   *features.Definition
	Entity       int // in Pipeline.Entities; of a pipeline's only

	registry Registry
}

// slab hands out slices that live as long as it does.
type slab[T any] struct{ free []T }

const slabLen = 4096

func (s *slab[T]) take(n int) []T {
	if len(s.free) < n {
		s.free = make([]T, max(n, slabLen))
	}
	out := s.free[:n:n]
	s.free = s.free[n:]
	return out
}

// arena holds bytes for as long as a batch lives. Growing leaves what was handed
// out where it is.
type arena struct{ free []byte }

const arenaBytes = 64 << 10

func (a *arena) copy(b []byte) []byte {
	if len(b) == 0 {
		return []byte{} // not nil: nil says that there is no key
	}
	if cap(a.free)-len(a.free) < len(b) {
		a.free = make([]byte, 0, max(arenaBytes, len(b)))
	}
	from := len(a.free)
	a.free = append(a.free, b...)
	return a.free[from:len(a.free):len(a.free)]
}

func (a *arena) value(v mortise.Value) mortise.Value {
	switch v.Kind {
	case mortise.String:
		return mortise.TextValue(a.copy(v.Text()))
	case mortise.List:
		list := make([]mortise.Value, len(v.List()))
		for i, elem := range v.List() {
			list[i] = a.value(elem)
		}
		return mortise.ListValue(list)
	}
	return v
}
