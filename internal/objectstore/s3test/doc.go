// Package s3test runs a real S3 server, Versity's gateway over a folder, in a
// process of its own on loopback, for tests. It belongs to no stage. .ci/s3
// builds the server, of the version in VERSION, by the Go module proxy.
package s3test
