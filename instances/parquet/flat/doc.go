// Package flat reads rows of any Parquet file whose columns are scalars or lists
// of scalars, whoever wrote it. It is a leaf of stage 5, instances, beside the
// parquet package, which reads and writes an experiment's own columns: a
// comparison takes files of others too.
package flat
