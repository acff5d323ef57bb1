// Package profile tells what instances are like: label rates over event time,
// how long labels take, nulls, distributions and frequent values of every
// column. It belongs to stage 5 of 6: before it the rows of a run or a backfill,
// after it instances/report, which draws them.
//
// A Profile has a bounded size, whatever goes in, and profiles of parts merge to
// the profile of the whole: what comes out does not depend on the order of rows,
// nor on how they were divided.
package profile
