// Package report draws what a run or a backfill has made as one HTML page, for
// people: label rates, delays, the ledger, every column. It belongs to stage 5
// of 6, after instances/profile, which counts; before it whoever ran.
//
// A page is one file without scripts, fonts or images from elsewhere, in light
// and dark, and holds its numbers as JSON too. The same numbers give the same
// page.
package report
