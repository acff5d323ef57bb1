// Package telemetry shows a running pipeline to the outside: Prometheus
// metrics, /healthz, /ready, /status and pprof. It reads the workers' status
// when asked and costs the hot path nothing. It is the only package that
// imports the Prometheus client.
package telemetry
