// Package kernels knows where kernel images come from and how they are built.
//
// A [Spec] names a source (a ready bzImage, a source tarball, or a git tree
// with a revision), an optional patch series, a configuration and make
// variables. [Store.Build] turns it into an [Image]: immutable, addressed by
// the content of everything that went into it, and found again in milliseconds
// when the same Spec is asked for a second time.
//
// The store's folder looks like this:
//
//	images/ID/   image.json, bzImage, vmlinux, config, build.log, src/ (touched files as patched)
//	trees/ID/    tree/ (sources), pristine/ (originals of patched files), state.json, lock, used
//	builds/ID/   out/ (make O=), build.json, used
//	logs/        logs of builds that failed
//	tmp/         what is being written; nothing in it survives a crash
//	hashes.json  sha256 of large input files by path, size, times and inode
//
// One source tree serves all patched variants of the same source, and one
// build folder serves all variants with the same configuration, so that the
// second kernel of a pair recompiles only what its patch touches. The user's
// own tree is only ever read.
package kernels
