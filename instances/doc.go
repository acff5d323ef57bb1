// Package instances is stage 5 of 6: the row that trainers see. It fixes the
// columns, their order and types, samples negatives, and encodes rows. Before
// it: joiner, features and dimjoin, which fill an Instance. After it: the topic
// or the dataset that an experiment writes to.
//
// Nothing in a row depends on wall-clock time, order of arrival, machine or
// speed: the same Instance gives the same bytes.
package instances
