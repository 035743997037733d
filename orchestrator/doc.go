// Package orchestrator turns a plan into runs and runs into a verdict. It is
// the one package that knows all others: kernels are built or found, a guest
// image is made, guests are booted and walked through a workload's phases, what
// their kernels print is read and classified, and the judge is asked after
// every run whether it has seen enough.
package orchestrator
