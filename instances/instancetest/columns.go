package instancetest

import (
	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/instances"
)

// MustColumns makes columns of labels and of selected fields, each a name and a
// type; it panics where they are none.
func MustColumns(labels []string, selected ...string) *instances.Columns {
	var s mortise.Schema
	for i := 0; i+1 < len(selected); i += 2 {
		typ, err := mortise.ParseType(selected[i+1])
		if err != nil {
			panic(err)
		}
		s = append(s, mortise.Field{Name: selected[i], Type: typ})
	}
	c, err := instances.NewColumns(labels, s)
	if err != nil {
		panic(err)
	}
	return c
}
