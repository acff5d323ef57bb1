// Package experiments is stage 6 of 6: it wires the stages for one or many
// experiment files and runs them. Experiments with the same sources, key and
// label windows become one Pipeline: one read, one state, one close; each then
// filters, samples and encodes its own rows.
//
// A Worker moves records from a Transport through clean, join and instance and
// back, in rounds: poll, let every task work in parallel, produce, commit.
package experiments
