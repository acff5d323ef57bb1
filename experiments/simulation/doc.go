// Package simulation is the world around stage 6 for tests: a broker with its
// consumer group and transactions, a disk that loses what was not synced, and
// processes that are killed, stopped and continued. Before it stands a test that
// publishes records and starts workers, after it the same test, which looks at
// what was committed.
//
// Everything that happens is drawn from one seed. Workers run as they are, on
// goroutines of their own, but they stop at every call of the broker until the
// Schedule gives them the turn, so that one thing happens after another and a
// seed happens again the same way. It is made for testing/synctest, whose clock
// is the simulation's.
package simulation
