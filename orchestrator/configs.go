package orchestrator

// KernelConfigs returns what finds the full configuration of a kernel of the
// cache by the kernel's ID: its path, or "" when the cache does not have it.
func (h *Harness) KernelConfigs() func(kernelID string) string {
	store, err := h.OpenKernels()
	if err != nil {
		return nil // pages do without
	}
	return store.ConfigFile
}
