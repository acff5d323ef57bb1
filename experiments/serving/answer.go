package serving

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"time"

	"github.com/fxamacker/cbor/v2"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/features"
)

// Answer is what POST /v1/features answers, in JSON or CBOR.
type Answer struct {
	Experiment string          `json:"experiment"`
	Version    int             `json:"version"`
	AsOfMS     int64           `json:"as_of"` // ms UTC
	Features   []FeatureAnswer `json:"features"`
	Rows       [][]any         `json:"rows"` // one for each entity, with a value for each feature
}

// FeatureAnswer says what a column of the rows is.
type FeatureAnswer struct {
	Name string `json:"name"`
	Type string `json:"type"`
	// ReadToMS is where the window ends: the start of the tile that as_of lies in.
	// It, and what follows, are null for a feature that is computed from others.
	ReadToMS *int64 `json:"read_to,omitempty"`
	// FreshToMS is up to when the source's events are all in, ms UTC; null while
	// none are. Up to there the answer is what training rows have.
	FreshToMS *int64 `json:"fresh_to,omitempty"`
	// CompleteFromMS is the least as_of whose window lies within what the store has
	// seen; null when all do.
	CompleteFromMS *int64 `json:"complete_from,omitempty"`
	Final          *bool  `json:"final,omitempty"` // read_to is not after fresh_to
}

// answer reads the features of a request.
func (s *Server) answer(ctx context.Context, req *Request) (*Answer, error) {
	exp, err := s.catalog.experiment(req.Experiment)
	if err != nil {
		return nil, err
	}
	v, err := exp.view(req.Features, s.gens)
	if err != nil {
		return nil, err
	}
	asOfMS := s.opts.Now().UnixMilli()
	if req.AsOfMS != nil {
		asOfMS = *req.AsOfMS
	}
	envs := make([]mortise.Row, len(req.Entities))
	slab := make(mortise.Row, len(req.Entities)*v.width)
	for i, entity := range req.Entities {
		envs[i] = slab[i*v.width : (i+1)*v.width : (i+1)*v.width]
		if err := v.fill(exp, i, entity, envs[i]); err != nil {
			return nil, err
		}
	}
	fresh, err := s.read(ctx, v, envs, asOfMS, maxStale)
	if err != nil {
		return nil, err
	}
	v.compute(envs)
	a := &Answer{Experiment: exp.spec.Name, Version: exp.spec.Version, AsOfMS: asOfMS, Rows: make([][]any, len(envs))}
	for i := range v.columns {
		a.Features = append(a.Features, s.describe(&v.columns[i], fresh, asOfMS))
	}
	cells := make([]any, len(envs)*len(v.columns))
	for i, env := range envs {
		row := cells[i*len(v.columns) : (i+1)*len(v.columns) : (i+1)*len(v.columns)]
		for c := range v.columns {
			row[c] = plain(env[v.columns[c].slot])
		}
		a.Rows[i] = row
	}
	s.skew.keep(exp, v, envs, asOfMS, fresh)
	return a, nil
}

// freshness is how far the generations' sources are, as of one read.
type freshness struct {
	finalMS      [][]int64 // per generation and source
	completeFrom [][]int64 // per generation and feature
}

// maxStale is how old a reader's knowledge of how far tiles are may be.
const maxStale = 100 * time.Millisecond

// read fills the envs' aggregations. How far tiles are is known as of maxAge ago.
func (s *Server) read(ctx context.Context, v *view, envs []mortise.Row, asOfMS int64, maxAge time.Duration) (*freshness, error) {
	fresh := &freshness{make([][]int64, len(s.gens)), make([][]int64, len(s.gens))}
	for gen := range s.gens {
		var mine []*viewLookup
		for i := range v.lookups {
			if v.lookups[i].gen == gen {
				mine = append(mine, &v.lookups[i])
			}
		}
		if len(mine) == 0 {
			continue
		}
		lookups := make([]features.Lookup, 0, len(envs)*len(mine))
		var values []mortise.Value
		var keys []byte
		for _, env := range envs {
			for _, l := range mine {
				values = values[:0]
				for _, slot := range l.entity {
					values = append(values, env[slot])
				}
				from := len(keys)
				entity, ok := features.EntityKey(keys, values...)
				lookup := features.Lookup{Group: l.group, AsOfMS: asOfMS}
				if ok {
					keys = entity
					lookup.Entity = keys[from:len(keys):len(keys)]
				}
				lookups = append(lookups, lookup)
			}
		}
		err := s.readers[gen].Use(ctx, maxAge, func(r *features.Reader) error {
			for i := range s.gens[gen].Set.Sources {
				fresh.finalMS[gen] = append(fresh.finalMS[gen], r.FinalMS(i))
			}
			fresh.completeFrom[gen] = r.CompleteFrom()
			return r.Read(ctx, lookups)
		})
		if err != nil {
			return nil, err
		}
		for i, env := range envs {
			for j, l := range mine {
				for _, at := range l.values {
					env[at.slot] = lookups[i*len(mine)+j].Values[at.value]
				}
			}
		}
	}
	return fresh, nil
}

// compute evaluates what is computed. One that fails is null: a row of training
// data would be a dead letter, and a ranker has to go on.
func (v *view) compute(envs []mortise.Row) {
	for i := range v.computed {
		c := &v.computed[i]
		eval := c.expr.Bind(c.args)
		for _, env := range envs {
			value, err := eval.Eval(env)
			if err != nil {
				value = mortise.NullValue()
			}
			env[c.slot] = value
		}
	}
}

func (s *Server) describe(c *viewColumn, fresh *freshness, asOfMS int64) FeatureAnswer {
	out := FeatureAnswer{Name: c.def.Name, Type: c.def.Type.String()}
	if c.gen < 0 {
		return out
	}
	g := &s.gens[c.gen].Set.Groups[c.group]
	readTo := g.AsOf(asOfMS)
	finalMS := fresh.finalMS[c.gen][g.Source]
	final := readTo <= finalMS
	out.ReadToMS, out.Final = &readTo, &final
	if finalMS != math.MinInt64 && finalMS != math.MaxInt64 {
		out.FreshToMS = &finalMS
	}
	if from := fresh.completeFrom[c.gen][c.at]; from != math.MinInt64 {
		out.CompleteFromMS = &from
	}
	return out
}

// plain is a value as encoders take it.
func plain(v mortise.Value) any {
	switch v.Kind {
	case mortise.String:
		return string(v.Text())
	case mortise.Int, mortise.Timestamp:
		return v.Int()
	case mortise.Float:
		if f := v.Float(); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f
		}
	case mortise.Bool:
		return v.Bool()
	case mortise.List:
		list := make([]any, len(v.List()))
		for i, elem := range v.List() {
			list[i] = plain(elem)
		}
		return list
	}
	return nil
}

// encode writes an answer as the client wants it.
func (a *Answer) encode(kind string) ([]byte, error) {
	if kind == typeCBOR {
		return cbor.Marshal(a)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(a)
	return b.Bytes(), err
}
