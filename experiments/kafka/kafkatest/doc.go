// Package kafkatest starts Apache Kafka for tests: the broker of production
// where experiments/broker is the one of a laptop. It belongs to no stage; tests
// of experiments/kafka and of what stands on it use it.
//
// The broker runs as a process of java with the jars that `make provision`
// copied (.ci/kafka). It is shared by the tests of one test binary, keeps its
// log in a directory of its own, and ends with the binary, however that ends.
package kafkatest
