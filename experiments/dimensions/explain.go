package dimensions

import (
	"context"
	"fmt"

	"github.com/mortise-dev/mortise/dimjoin"
)

// Explain reads one row of a dimension, by its ID, past its cache, with from when to
// when it is valid.
func (s *Set) Explain(ctx context.Context, id string, l *dimjoin.Lookup) error {
	t := s.byID[id]
	if t == nil {
		return fmt.Errorf("no dimension has the id %s", id)
	}
	one := []dimjoin.Lookup{*l}
	if err := t.view().Read(ctx, one); err != nil {
		return fmt.Errorf("reading the dimension %s: %w", t.dimension.Definition.Name, err)
	}
	*l = one[0]
	return nil
}
