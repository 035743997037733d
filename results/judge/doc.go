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
//
// The same is done for many kernels in a row: Bisection says at which commit of
// a Graph a run teaches most, and how probable each commit is as the one that
// broke or fixed something. Its reasoning is in docs/bisect.md.
package judge
