package expression

import mortise "github.com/mortise-dev/mortise"

// truth3 is a condition's value: false, true or null.
type truth3 uint8

const (
	no truth3 = iota
	yes
	unknown
)

// bound is a condition compiled to a closure over rows, without the engine.
type bound func(row mortise.Row) truth3

// node is a condition that quicken knows, before it is bound to a layout.
type node interface{ bind(slots []int) bound }

func quicken(src string, env mortise.Schema, fields []int) node { return nil }
