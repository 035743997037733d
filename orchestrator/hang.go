package orchestrator

import (
	"context"
	"time"

	"patchproof/vm"
)

// blockedPatience bounds the attempt to learn what a guest's tasks wait for.
const blockedPatience = 20 * time.Second

// showBlocked lets the kernel print the tasks that wait in it, with their call
// traces, to the console (SysRq w). Of a guest that hangs there will be nothing
// else to go by. A guest that cannot do even that is ended like the others.
func (r *runner) showBlocked(ctx context.Context, guest *vm.Guest) {
	ctx, cancel := context.WithTimeout(ctx, scale(blockedPatience, r.machine.probe.Slowdown))
	defer cancel()
	_, _ = guest.Run(ctx, "echo w >/proc/sysrq-trigger")
}
