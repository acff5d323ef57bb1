// Package loadtest stands beside the six stages: it makes the traffic that
// demos, tests and load tests run on, and measures what the pipeline does with
// it. Before it there is nothing; after it come the sources of joiner/clean,
// which read generated files and topics like any others. Only cmd and tests
// import it.
package loadtest
