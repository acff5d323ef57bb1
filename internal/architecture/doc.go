// Package architecture holds the tests that keep the tree as it is drawn: who
// may import whom, which package owns which third-party client, which packages
// stay pure. It is not part of any stage; every package is its subject.
package architecture
