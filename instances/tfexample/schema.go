package tfexample

import (
	"fmt"
	"strings"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/instances"
)

// Schema returns the features as TensorFlow Metadata's Schema in text form, in
// column order, which TFX and tensorflow_data_validation read.
func Schema(c *instances.Columns) string {
	var b strings.Builder
	for i, f := range c.Schema() {
		fmt.Fprintf(&b, "feature {\n  name: %q\n  type: %s\n", f.Name, typeOf(f.Type))
		if !c.IsNullable(i) {
			b.WriteString("  presence { min_fraction: 1.0 min_count: 1 }\n")
		}
		if f.Type.Kind != mortise.List {
			b.WriteString("  value_count { min: 1 max: 1 }\n")
		}
		b.WriteString("}\n")
	}
	return b.String()
}

func typeOf(t mortise.Type) string {
	kind := t.Kind
	if kind == mortise.List {
		kind = t.Elem
	}
	switch kind {
	case mortise.String:
		return "BYTES"
	case mortise.Float:
		return "FLOAT"
	}
	return "INT"
}
