package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/instances/tfexample"
)

func newSchema(c *console) *cobra.Command {
	var load loadFlags
	var format string
	cmd := &cobra.Command{
		Use: "schema [FILE]", Short: "Print the JSON Schema of experiment files, or the schema of an experiment's instances",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("schema takes one experiment file, or none; got %d", len(args))}
			}
			return nil
		},
		Long: `Print the JSON Schema (draft-07) of experiment files. Editors complete and check
against it: save it and name it in the file's first line,

  # yaml-language-server: $schema=./mortise.schema.json

With a FILE, print the schema of that experiment's instances instead, as its
output topic has them, or with --format as they are in another format: avro,
protobuf, tfexample (TensorFlow Metadata's Schema as text) or json (a JSON Schema).`,
		Example: `  mortise schema > mortise.schema.json
  mortise schema feed.yaml --format protobuf > feed.proto`,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				if format != "" {
					return usageError{errors.New("--format needs the experiment FILE whose instances it is about")}
				}
				_, err := c.out.Write(spec.Schema())
				return err
			}
			return c.instanceSchema(&load, args, format)
		},
	}
	load.register(cmd)
	cmd.Flags().StringVar(&format, "format", "", "json, avro, protobuf or tfexample (default: the output topic's format)")
	return cmd
}

// instanceSchema prints the schema of an experiment's instances.
func (c *console) instanceSchema(f *loadFlags, args []string, format string) error {
	plan, err := c.mustLoad(f, args)
	if err != nil {
		return err
	}
	p := plan.Pipelines[0]
	e, columns := p.Experiments[0], p.Columns(0)
	if format == "" {
		format = e.Output.Format
	}
	var text []byte
	switch format {
	case "avro", "protobuf", "proto":
		if format == "proto" {
			format = "protobuf"
		}
		ws, err := experiments.RowSchema(e, columns, format)
		if err != nil {
			return err
		}
		text = []byte(ws.Text)
		if format == "avro" {
			var indented bytes.Buffer
			if err := json.Indent(&indented, text, "", "  "); err != nil {
				return err
			}
			text = append(indented.Bytes(), '\n')
		}
	case "tfexample":
		text = []byte(tfexample.Schema(columns))
	case "json", "":
		if text, err = instances.JSONSchema(columns, e.Name); err != nil {
			return err
		}
	default:
		return usageError{fmt.Errorf("--format %s: write json, avro, protobuf or tfexample", format)}
	}
	_, err = c.out.Write(text)
	return err
}
