// Package sql reads a dimension table out of a relational database: PostgreSQL,
// MySQL or MariaDB. It is below dimjoin, stage 4 of 6: a dimjoin.Table, its Writer,
// and dimjoin.Versioned.
//
//	options.go, errors.go  what is opened, and errors without the DSN
//	columns.go             the table's columns, and how each is read as what is declared
//	postgres.go, mysql.go  what the databases say differently
//	table.go, read.go      a batch is a statement or a few; the version valid at a time
//	write.go, timeline.go  rows put in place of others; their history kept
//	versions.go            a table filled aside, and renamed
package sql
