package kernels

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// importImage takes a ready bzImage and its companions into the store, so that
// an image stays what it was while a campaign runs, whatever happens to the
// user's file.
func (s *Store) importImage(ctx context.Context, spec Spec, report func(Progress)) (*Image, error) {
	h, err := Identify(spec.Image)
	if err != nil {
		return nil, err
	}
	id, sum, err := s.readyID(spec)
	if err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(spec.Image)
	if err != nil {
		return nil, err
	}
	if img := s.cached(id, report); img != nil {
		img.Provenance.Source.Path = abs // an equal file may have had another name
		return img, nil
	}
	img := &Image{ID: id, Release: h.Release, SHA256: sum}
	if img.Modules, err = modulesDir(spec.Modules); err != nil {
		return nil, err
	}
	img.Provenance.Source = Source{Kind: SourceImage, Path: abs, SHA256: img.SHA256}
	return s.storeReady(ctx, spec, h, img)
}

// readyID is the address of a ready image, and the hash of its file.
func (s *Store) readyID(spec Spec) (id, imageSum string, err error) {
	parts := []string{fmt.Sprint(recordFormat), "image"}
	for _, p := range []string{spec.Image, spec.Vmlinux, spec.Config} {
		sum := ""
		if p != "" {
			if sum, err = s.hashes.sum(p); err != nil {
				return "", "", fmt.Errorf("kernel file %s: %w", p, bareError(err))
			}
		}
		parts = append(parts, sum)
	}
	modules, err := modulesDir(spec.Modules)
	if err != nil {
		return "", "", err
	}
	if modules != "" {
		parts = append(parts, modules)
	}
	return digestOf(parts...)[:20], parts[2], nil
}

// modulesDir is the folder of an image's modules, made absolute. They are not
// copied: only a few of the thousands are ever used.
func modulesDir(dir string) (string, error) {
	if dir == "" {
		return "", nil
	}
	return filepath.Abs(dir)
}

func (s *Store) storeReady(ctx context.Context, spec Spec, h Header, img *Image) (*Image, error) {
	tmp, err := os.MkdirTemp(s.path(tmpDir), "image-*")
	if err != nil {
		return nil, fmt.Errorf("kernel cache: %w", err)
	}
	defer os.RemoveAll(tmp)
	if err := copyFile(filepath.Join(tmp, imageFile), spec.Image, 0o644); err != nil {
		return nil, err
	}
	if sum, err := hashFile(filepath.Join(tmp, imageFile)); err != nil || sum != img.SHA256 {
		return nil, errors.Join(fmt.Errorf("kernel image %s changed while it was read: is it being built?", spec.Image), err)
	}
	config, err := readyConfig(ctx, spec, h)
	if err != nil {
		return nil, err
	}
	if config != nil {
		img.Provenance.ConfigSHA256 = hashBytes(config)
		if err := writeFileAtomic(filepath.Join(tmp, configName), config, 0o644); err != nil {
			return nil, err
		}
	}
	if spec.Vmlinux != "" {
		if img.Vmlinux, err = storeVmlinux(tmp, spec.Vmlinux, h); err != nil {
			return nil, err
		}
	}
	return s.publish(tmp, img)
}

// readyConfig is the configuration of a ready image: the one given, or the one
// in the image. It is nil when there is none that can be read, which is no
// error: only what needs an option has to do without.
func readyConfig(ctx context.Context, spec Spec, h Header) ([]byte, error) {
	if spec.Config != "" {
		data, err := os.ReadFile(spec.Config)
		if err != nil {
			return nil, fmt.Errorf("kernel config %s: %w", spec.Config, bareError(err))
		}
		if _, err := parseConfig(spec.Config, data); err != nil {
			return nil, fmt.Errorf("kernel config: %w", err)
		}
		return data, nil
	}
	data, err := embeddedConfig(ctx, spec.Image, h)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, nil
	}
	if _, err := parseConfig(spec.Image, data); err != nil {
		return nil, nil
	}
	return data, nil
}

// storeVmlinux checks that vmlinux belongs to the image and copies it, or
// returns its own path when it is too large to be copied.
func storeVmlinux(tmp, path string, h Header) (string, error) {
	if err := checkVmlinux(path, h); err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.Size() > vmlinuxCopyLimit {
		return filepath.Abs(path)
	}
	return "", copyFile(filepath.Join(tmp, vmlinuxFile), path, 0o644)
}

// checkVmlinux looks for the version of the image in the read-only data of
// vmlinux: symbols of another kernel would give wrong lines for every address.
func checkVmlinux(path string, h Header) error {
	f, err := elf.Open(path)
	if err != nil {
		return &SourceError{fmt.Errorf("kernel vmlinux %s is not an ELF file: %w", path, err)}
	}
	defer f.Close()
	sec := f.Section(".rodata")
	if sec == nil || h.Release == "" {
		return nil
	}
	data, err := sec.Data()
	if err != nil {
		return fmt.Errorf("kernel vmlinux %s: %w", path, err)
	}
	if !bytes.Contains(data, []byte("Linux version "+h.Release+" ")) {
		return &SourceError{fmt.Errorf("kernel vmlinux %s does not belong to the image, which is %s: give the one of the same build, or leave it out", path, h.Release)}
	}
	return nil
}
