package main

import (
	"github.com/spf13/cobra"
)

func newBench(c *console) *cobra.Command {
	cmd := &cobra.Command{
		Use: "bench", Short: "Run the load tests",
		Long: `Run the load tests on this machine, with your experiment and your data or with
generated ones, and print what was measured.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownVerb(cmd, args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newBenchServe(c))
	return cmd
}
