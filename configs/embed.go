// Package configs holds what is shipped inside the program: workloads, plans,
// kernel config fragments and the patch series that they refer to.
//
// Plans name these files as "shipped:kernel/guest.config"; package workloads
// reads them through the file system below.
package configs

import "embed"

// FS has the folders kernel, workloads, plans and patches of this package's
// own folder.
//
//go:embed all:kernel all:workloads all:plans all:patches
var FS embed.FS
