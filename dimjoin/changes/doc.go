// Package changes reads what databases say of their rows' changes, and makes
// histories of it. It is part of stage 4: before it a topic that Debezium or Canal
// writes, after it the tables of package dimjoin, which a shell in experiments
// keeps up to date.
//
// A Parser turns a record into Changes; a Log is what is remembered of one key's
// latest changes, and Log.Apply says which versions of the row a change makes or
// alters, in whatever order changes come. DESIGN.md defines what the history is.
package changes
