// Package traffic stands before stage 1 of 6: it generates seeded, synthetic
// recommendation traffic (impressions, clicks, orders, queries) with realistic
// skew, delays and disorder. Nothing comes before it; after it come the
// sources of joiner/clean, which read its JSON lines from files or topics.
//
// A Generator is a pure stream: no clock, no goroutine, no global state. The
// same Options give the same bytes on every machine and with every Go release,
// so a seed in a failing test's output is the whole bug report. Two habits keep
// it so: it draws from its own generator (splitmix64) and not from math/rand,
// and it samples with integers, or with floating-point steps that a compiler
// may not fuse (no x*y+z) and that IEEE 754 rounds exactly (no math.Exp).
//
// Every draw is keyed by the request's number, so a record is rendered when it
// is due and only a small entry waits for it. Memory is bounded by what is in
// flight (rate × jitter impressions, rate × CTR × delay clicks), however many
// impressions are generated.
package traffic
