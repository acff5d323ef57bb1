package dimensions

import (
	"context"
	"fmt"

	"github.com/mortise-dev/mortise/dimjoin"
)

// Explain reads one row of a dimension, by its ID, past its cache, with from when to
// when it is valid.
func (s *Set) Explain(ctx context.Context, id string, l *dimjoin.Lookup) error {
	t, ok := s.byID[id]
	if !ok {
		return fmt.Errorf("no dimension has the id %s", id)
	}
	one := []dimjoin.Lookup{*l}
	rows := t.view()
	if t.union != nil {
		rows = t.union
	}
	if err := rows.Read(ctx, one); err != nil {
		return fmt.Errorf("reading the dimension %s: %w", t.dimension.Definition.Name, err)
	}
	if t.part != nil {
		t.part.Lookup(&one[0])
	}
	*l = one[0]
	return nil
}
