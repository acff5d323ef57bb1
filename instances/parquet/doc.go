// Package parquet writes instances as Parquet files and reads them back. It is a
// leaf of stage 5, instances, whose columns it lays out; it is the one package
// that knows the file format's library. After it: instances/dataset, which
// publishes the files.
package parquet
