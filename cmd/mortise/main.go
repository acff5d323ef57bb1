// Command mortise turns impression and click streams into labelled training
// instances. A file a verb; pipeline.go shows the way of the data.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/mortise-dev/mortise/experiments/spec"
)

// Exit codes, as documented.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	exitLint   = 3
)

// usageError is a command line that cannot be understood.
type usageError struct{ error }

// lintError says that experiment files have errors, which have been printed.
type lintError struct{ count int }

func (e lintError) Error() string { return count(e.count, "error") + " found" }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], &console{out: os.Stdout, err: os.Stderr, in: os.Stdin}))
}

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, c *console) int {
	root := newRoot(c)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var usage usageError
	var lint lintError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, new(differError)):
		return exitFailed
	case errors.As(err, &lint):
		return exitLint
	case errors.As(err, &usage):
		fmt.Fprintf(c.err, "mortise: %v\n", usage.error)
		return exitUsage
	}
	fmt.Fprintf(c.err, "mortise: %v\n", err)
	return exitFailed
}

func newRoot(c *console) *cobra.Command {
	root := &cobra.Command{
		Use:   "mortise",
		Short: "Turn impression and click streams into labelled training instances",
		Long: `Mortise holds every impression open until its label arrives or its window runs
out, then emits one labelled training instance: never early, never twice, never lost.`,
		Version:       buildVersion().String(),
		SilenceErrors: true,
		SilenceUsage:  true,

		SuggestionsMinimumDistance: 2,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownVerb(cmd, args[0])
			}
			return nil
		},
		RunE: showHelp,
	}
	root.SetVersionTemplate("{{.Version}}")
	root.SetOut(c.out)
	root.SetErr(c.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w%s; see %s --help", err, nearFlag(cmd, err), cmd.CommandPath())}
	})
	root.PersistentPreRunE = func(*cobra.Command, []string) error { return c.checkFlags() }
	f := root.PersistentFlags()
	f.BoolVarP(&c.quiet, "quiet", "q", false, "print results and errors only")
	f.BoolVarP(&c.verbose, "verbose", "v", false, "log what happens inside")
	f.StringVar(&c.color, "color", "auto", "auto, always or never; NO_COLOR is respected")
	f.StringVar(&c.logFormat, "log-format", "text", "of the log on stderr: text or json")
	root.AddCommand(newRun(c), newLint(c), newSchema(c), newReplay(c), newBackfill(c), newServe(c), newTail(c), newExplain(c), newDebug(c), newDiff(c),
		newLoad(c), newGenerate(c), newBench(c), newStatus(c), newForget(c), newCheckpoint(c), newVersion(c))
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, verb := range root.Commands() {
		switch verb.Name() {
		case "help": // of cobra's, it shows all of the help for a verb that is not there
			verb.Short, verb.Long = "Show the help of a verb", ""
			verb.Run, verb.RunE = nil, showHelp
		case "completion":
			verb.Short, verb.Args, verb.RunE = "Print the completion script of a shell", noShell, func(*cobra.Command, []string) error { return nil }
		}
	}
	return root
}

func showHelp(cmd *cobra.Command, args []string) error {
	found, rest, err := cmd.Root().Find(args)
	if err != nil || found == cmd.Root() && len(rest) > 0 {
		return unknownVerb(cmd.Root(), args[0])
	}
	found.InitDefaultHelpFlag()
	found.InitDefaultVersionFlag()
	return found.Help()
}

func noShell(cmd *cobra.Command, _ []string) error {
	return usageError{errors.New("completion needs a shell: bash, zsh, fish or powershell; see mortise completion --help")}
}

func unknownVerb(cmd *cobra.Command, verb string) error {
	text := fmt.Sprintf("unknown verb %q", verb)
	if near := cmd.SuggestionsFor(verb); len(near) > 0 {
		text += fmt.Sprintf("; did you mean %q?", near[0])
	}
	return usageError{fmt.Errorf("%s; see mortise --help", text)}
}

var flagName = regexp.MustCompile(`(?m)^ +(?:-\w, |    )--([a-z-]+)`)

// nearFlag suggests a flag for one that is unknown; empty when none is near.
func nearFlag(cmd *cobra.Command, err error) string {
	var unknown interface{ GetSpecifiedName() string }
	if !errors.As(err, &unknown) || !strings.HasPrefix(err.Error(), "unknown flag") {
		return ""
	}
	var known []string
	for _, m := range flagName.FindAllStringSubmatch(cmd.Flags().FlagUsages(), -1) {
		known = append(known, m[1])
	}
	if near := spec.Nearest(unknown.GetSpecifiedName(), known); near != "" {
		return fmt.Sprintf("; did you mean --%s?", near)
	}
	return ""
}

// someFiles and exactly check the arguments; what they find are usage errors.
func someFiles(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usageError{fmt.Errorf("%s needs an experiment file; see %s --help", cmd.CommandPath(), cmd.CommandPath())}
	}
	return nil
}

func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usageError{fmt.Errorf("%s takes %s; see %s --help", cmd.CommandPath(), what, cmd.CommandPath())}
		}
		return nil
	}
}
