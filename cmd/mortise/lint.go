package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/mortise-dev/mortise/experiments/dimensions"
	"github.com/mortise-dev/mortise/experiments/spec"
)

type lintReport struct {
	Files       int              `json:"files"`
	Errors      int              `json:"errors"`
	Warnings    int              `json:"warnings"`
	Diagnostics spec.Diagnostics `json:"diagnostics"`
}

func newLint(c *console) *cobra.Command {
	var f loadFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use: "lint FILE…", Short: "Check experiment files with the code that run uses", Args: someFiles,
		Long: `Check experiment files and print all findings at once, each with file, line,
column, a stable code and what to do. Files that dimensions name are looked into,
where they are there, for what a run would refuse. Exit code 3 means that there
are errors.`,
		RunE: func(_ *cobra.Command, args []string) error { return c.lint(&f, args, asJSON) },
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&f.noEnvironment, "no-environment", false, "check away from where it will run: environment variables and files may be missing, and dimensions' files are not looked into")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the findings as JSON")
	return cmd
}

func (c *console) lint(f *loadFlags, args []string, asJSON bool) error {
	plan, found, err := f.load(args)
	if err != nil {
		return err
	}
	if plan != nil && !f.noEnvironment {
		for _, p := range plan.Pipelines {
			for _, e := range p.Experiments {
				found = append(found, dimensions.CheckFiles(context.Background(), e)...)
			}
		}
	}
	report := lintReport{Files: f.files, Errors: countErrors(found), Warnings: len(found) - countErrors(found), Diagnostics: found}
	if asJSON {
		if report.Diagnostics == nil {
			report.Diagnostics = spec.Diagnostics{}
		}
		if err := c.printJSON(report); err != nil {
			return err
		}
	} else {
		for i := range found {
			c.printFinding(c.out, &found[i])
		}
		c.say("%s, %s, %s", count(report.Files, "file"), count(report.Errors, "error"), count(report.Warnings, "warning"))
	}
	if report.Errors > 0 {
		return lintError{report.Errors}
	}
	return nil
}
