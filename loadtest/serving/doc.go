// Package serving puts load on a server of online features: requests at a steady
// rate, whatever the answers take, and how long those took. It stands beside the
// six stages, as all of loadtest: before it there is whoever makes the requests'
// bodies, after it the figures of one rate.
package serving
