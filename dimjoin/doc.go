// Package dimjoin is stage 4 of 6, the dimension rows: tables of key → row that
// an instance looks up, as of its event time, its arrival or its emission.
// Before it: features. After it: instances.
//
// A Table is the rows of one dimension in one store (the leaves below this
// package, one a client library); a Reader answers the lookups of a batch of
// closed impressions out of it, whatever becomes of the store.
package dimjoin
