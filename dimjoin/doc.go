// Package dimjoin is stage 4 of 6, the dimension rows: tables of key → row that
// an instance looks up, as of its event time, its arrival or its emission.
// Before it: features. After it: instances.
//
// This file set holds the definitions and their checks, which are pure: no
// clock, no files, no network.
package dimjoin
