// Command types prints what the guard and its tests need to know of Kubernetes' Go types.
//
//	types table [FILE...]    the table of the types' fields, with the fields that only the tables in the files have
//	types sweep LAYOUT       pairs of objects that differ in one place, with the verdict of equality.Semantic
//	types random LAYOUT N    pairs of N random objects and what a typed client or an edit makes of them, with the verdict
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "types:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) == 0 {
		return errors.New("expected a command: table, sweep or random")
	}
	command, arguments := arguments[0], arguments[1:]
	if command == "table" {
		return printTable(arguments)
	}
	if len(arguments) == 0 {
		return errors.New("expected a layout")
	}
	layout, found := layouts[arguments[0]]
	if !found {
		return fmt.Errorf("unknown layout %q", arguments[0])
	}
	output := bufio.NewWriterSize(os.Stdout, 1<<20)
	judge := &judge{layout: layout, output: output}
	switch {
	case command == "sweep" && len(arguments) == 1:
		if err := judge.sweep(); err != nil {
			return err
		}
	case command == "random" && len(arguments) == 2:
		count, err := strconv.Atoi(arguments[1])
		if err != nil {
			return err
		}
		if err := judge.random(count); err != nil {
			return err
		}
	default:
		return fmt.Errorf("cannot run %q with %q", command, arguments)
	}
	return output.Flush()
}
