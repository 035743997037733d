// Package judge turns the outcomes of runs on two kernels into a verdict.
//
// Everything here is a pure function of counts and sequences: nothing is read,
// nothing is written, no clock is looked at. The same functions therefore
// decide when a campaign may stop, and recompute its verdict years later from
// the run folders.
//
// The reasoning is in docs/verdicts.md. In short: runs of the two kernels are
// interleaved and paired; the pairs feed a test martingale whose chance of ever
// passing 1/alpha, were the kernels alike, is at most alpha, however often one
// looks and at whatever rate the bug shows. See evalue.go.
package judge
