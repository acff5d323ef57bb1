package main

import (
	"github.com/spf13/cobra"

	"github.com/mortise-dev/mortise/experiments/spec"
)

func newSchema(c *console) *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of experiment files", Args: exactly(0, "no arguments"),
		Long: `Print the JSON Schema (draft-07) of experiment files. Editors complete and check
against it: save it and name it in the file's first line,

  # yaml-language-server: $schema=./mortise.schema.json`,
		RunE: func(*cobra.Command, []string) error {
			_, err := c.out.Write(spec.Schema())
			return err
		},
	}
}
