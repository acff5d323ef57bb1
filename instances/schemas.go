package instances

import mortise "github.com/mortise-dev/mortise"

// Schemas finds the schemas that rows were written with, for formats whose rows
// name theirs.
type Schemas interface {
	// Schema returns the schema that id names. An error that is a
	// *mortise.RecordError is about the id, as when nothing is registered under it;
	// any other one says that it cannot be told now.
	Schema(id mortise.SchemaID) (*mortise.WriterSchema, error)
}
