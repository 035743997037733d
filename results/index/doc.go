// Package index answers questions about many campaigns at once: which there
// are, since when a report shows, at what rate over time, which cells are
// flaky, how long runs take.
//
// It is a SQLite database, index.db in the results folder, over the campaigns'
// folders, and nothing more: the folders stay the truth, the index is brought up
// to date with them whenever it is opened, and it can be thrown away at any
// time. Bringing it up to date costs a few calls of stat(2) for each campaign
// that has not changed; of one that has, only the runs are read that are new or
// had no end yet. An ended run is not looked at again: who changes its folder by
// hand has to Rebuild.
//
// Several processes may use the same index at once.
package index
