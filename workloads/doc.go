// Package workloads is what a run does inside a guest and what a plan asks
// for: the YAML schema of workloads and plans, their strict decoding with
// positions, the expansion of a matrix into cells, and the compiler that turns a
// workload into command lines for the tools found in the guest image.
//
// The package is pure apart from [Plan.OpenWorkload], [Matrix.OpenCells] and
// [KernelSpec.Materialize], which read and write files that they are told of.
// It imports no sibling package: a KernelSpec mirrors kernels.Spec and a
// Signature mirrors dmesg.Signature field by field, and the orchestrator
// converts them.
//
// Everything wrong with a file is a *[PositionError], one at a time, at the
// line and column of the value to change. Everything wrong with a run of a
// step is an error from [Step.Check] that names what is wrong and, where that
// is known, what to do.
package workloads
