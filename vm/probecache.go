package vm

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"patchproof/vm/internal/atomicfile"
)

// probeCache keeps one answer. Its file is named after everything that the
// answer depends on, so a change of any of it simply finds no file.
type probeCache struct{ path string }

// newProbeCache returns a cache in dir, or one that keeps nothing when dir is
// empty. The state of /dev/kvm is part of the key: a user who has been given
// access to it need not know of any cache.
func newProbeCache(dir, qemuVersion, force string, kvmError error) probeCache {
	if dir == "" {
		return probeCache{}
	}
	key := sha256.Sum256([]byte(strings.Join([]string{
		HostRelease(), qemuVersion, HostCPU(), force, fmt.Sprint(kvmError),
	}, "\n")))
	return probeCache{path: filepath.Join(dir, "accelerator-"+hex.EncodeToString(key[:8])+".json")}
}

// load returns the answer. A damaged file counts as none.
func (c probeCache) load() (ProbeResult, bool) {
	if c.path == "" {
		return ProbeResult{}, false
	}
	data, err := os.ReadFile(c.path)
	if err != nil {
		return ProbeResult{}, false
	}
	var res ProbeResult
	if json.Unmarshal(data, &res) != nil || (res.Accel != AccelKVM && res.Accel != AccelTCG) || res.Slowdown < 1 || res.Slowdown > maxSlowdown {
		return ProbeResult{}, false
	}
	res.Cached = true
	return res, true
}

// store writes the answer, atomically.
func (c probeCache) store(res ProbeResult) error {
	if c.path == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(c.path), 0o755); err != nil {
		return err
	}
	return atomicfile.WriteJSON(c.path, ".accelerator-*", res)
}

// HostRelease is the host kernel's release, as uname -r has it.
func HostRelease() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

// HostBoot identifies the time since the host's last boot.
func HostBoot() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}

// HostCPU is the first processor's name in /proc/cpuinfo, empty when there is none.
func HostCPU() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		if name, value, ok := strings.Cut(sc.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
