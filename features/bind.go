package features

import (
	"context"
	"fmt"
	"math"
)

// maxColumn keeps a column's key within 31 bits.
const maxColumn = 1 << 26

// numbering is a set's names as numbers of one store.
type numbering struct {
	groups  []uint16   // per group
	columns [][]uint32 // per group and column
}

func numberOf(ctx context.Context, set *Set, store Store) (*numbering, error) {
	out := &numbering{}
	var names []string
	for i := range set.Groups {
		names = append(names, set.Groups[i].name)
	}
	groups, err := store.Numbers(ctx, "groups", names)
	if err != nil {
		return nil, fmt.Errorf("looking up the feature groups' numbers: %w", err)
	}
	for i, number := range groups {
		if number > math.MaxUint16 {
			return nil, fmt.Errorf("the store holds %d feature groups, the most that it can: start a new one", math.MaxUint16)
		}
		out.groups = append(out.groups, uint16(number))
		g := &set.Groups[i]
		names = names[:0]
		for _, c := range g.columns {
			names = append(names, c.name)
		}
		columns, err := store.Numbers(ctx, "columns of "+g.name, names)
		if err != nil {
			return nil, fmt.Errorf("looking up the numbers of a feature group's columns: %w", err)
		}
		for _, column := range columns {
			if column > maxColumn {
				return nil, fmt.Errorf("the store holds %d columns for one feature group, the most that it can: start a new one", maxColumn)
			}
		}
		out.columns = append(out.columns, columns)
	}
	return out, nil
}

func (n *numbering) key(set *Set, group, column int) columnKey {
	return newColumnKey(n.columns[group][column], set.Groups[group].columns[column].kind)
}
