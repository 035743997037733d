package guestimage

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"sort"
	"strings"
)

// Keys are the SSH keys of one run.
type Keys struct {
	// Host is the server's private key.
	Host ed25519.PrivateKey
	// Authorized is the authorized_keys line of the one client.
	Authorized []byte
}

// PerRun writes the archive that belongs to one run: the keys and the given
// files, by their path in the guest, readable by root alone. It is appended to
// the base image, whose length is a multiple of the alignment that the kernel
// needs; of a file that both have, the kernel keeps this one.
func PerRun(w io.Writer, nonce string, keys Keys, files map[string][]byte) error {
	if len(keys.Host) != ed25519.PrivateKeySize {
		return errors.New("guest image: no host key for this run")
	}
	seg := newSegment(w)
	// These folders are in the base image, with the right permissions.
	for _, d := range []string{"etc", "etc/dropbear", "root", "root/.ssh"} {
		seg.dirs[d] = true
	}
	seg.file("etc/dropbear/dropbear_ed25519_host_key", dropbearKey(keys.Host), 0o600)
	seg.file("root/.ssh/authorized_keys", append(bytes.TrimSpace(keys.Authorized), '\n'), 0o600)
	seg.file("etc/patchproof-nonce", []byte(nonce+"\n"), 0o644)
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		rel := strings.TrimPrefix(path.Clean("/"+name), "/")
		if rel == "" {
			return fmt.Errorf("guest image: %q is not the path of a file", name)
		}
		seg.file(rel, files[name], 0o700)
	}
	return seg.close()
}

// dropbearKey encodes a private key as dropbear stores it: the SSH wire string
// "ssh-ed25519", the length 64 as a 32-bit number, seed and public key
// (buf_put_ed25519_priv_key in dropbear's ed25519.c).
func dropbearKey(key ed25519.PrivateKey) []byte {
	const name = "ssh-ed25519"
	var b bytes.Buffer
	b.Write(binary.BigEndian.AppendUint32(nil, uint32(len(name))))
	b.WriteString(name)
	b.Write(binary.BigEndian.AppendUint32(nil, ed25519.PrivateKeySize))
	b.Write(key) // Go keeps seed and public key in this order
	return b.Bytes()
}
