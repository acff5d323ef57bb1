// Package ab reads one dimension out of two clusters that hold the same rows, A and
// B: a dimjoin.Table of stage 4 over two others.
//
// Each request goes to one cluster. A Controller watches how long each takes and how
// often it fails, and moves the share of requests from the one that is worse to the
// other, within a second, and back again, within ten. A request that takes longer than nearly all
// is sent to the other cluster as well, and the first answer counts (hedging), as
// long as that makes few requests more. A cluster that is shunned gets a copy of a
// request now and then, which no row waits for, so that its recovery is seen.
//
// How and why is in DESIGN.md.
package ab
