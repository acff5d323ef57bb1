package tiling

import (
	"context"
	"fmt"

	"github.com/mortise-dev/mortise/features"
)

// Explain says which tiles the value of the pipeline's i-th feature is made of, for
// one entity as of an impression's time.
func (e *Enrichment) Explain(ctx context.Context, i int, entity []byte, asOfMS int64) (out *features.Explanation, err error) {
	for _, p := range e.parts {
		for _, f := range p.features {
			if f.column != i {
				continue
			}
			at := p.gen.Set.Groups[p.groups[f.group]].Features[f.value]
			err := p.readers.Use(ctx, 0, func(r *features.Reader) (err error) {
				out, err = r.Explain(ctx, at, entity, asOfMS)
				return err
			})
			return out, err
		}
	}
	return nil, fmt.Errorf("feature %d is in no generation of the store", i)
}
