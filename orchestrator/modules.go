package orchestrator

import (
	"cmp"
	"context"

	"patchproof/kernels"
	"patchproof/vm/guestimage"
)

// shellFileSystems are loaded for a guest whose user may mount anything.
var shellFileSystems = []string{"btrfs", "ext4"}

// addModules gives a subject whose kernel needs modules a guest image with them.
func (h *Harness) addModules(ctx context.Context, m *machine, s *subject) (err error) {
	if s.image.Modules != "" {
		s.guest, err = h.guestImageFor(ctx, m, s.image, m.workload.FileSystems())
	}
	return err
}

// guestImageFor is the machine's guest image, with the kernel's modules when it
// has some.
func (h *Harness) guestImageFor(ctx context.Context, m *machine, image *kernels.Image, fileSystems []string) (*guestimage.Image, error) {
	if image.Modules == "" {
		return m.image, nil
	}
	return h.guestImage(ctx, m.workload.HostTools(), guestimage.Modules{Dir: image.Modules, FileSystems: fileSystems})
}

// initrd is the guest image that a subject boots with.
func (m *machine) initrd(s *subject) *guestimage.Image { return cmp.Or(s.guest, m.image) }

// slowStart is how much longer a kernel with modules may take to start than one
// that has nothing but what a guest needs: it is several times as large, and the
// modules are checked and loaded one by one.
const slowStart = 3
