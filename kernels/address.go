package kernels

import "context"

// Address returns the ID that the image for spec has or will have, and whether
// it is in the store: a build would take no time. It does no work that grows
// with the size of the sources.
func (s *Store) Address(ctx context.Context, spec Spec) (id string, cached bool, err error) {
	if err := spec.Validate(); err != nil {
		return "", false, err
	}
	if spec.Image != "" {
		if _, err := Identify(spec.Image); err != nil {
			return "", false, err
		}
		id, _, err = s.readyID(spec)
	} else {
		var in *inputs
		if in, err = s.resolve(ctx, spec); err == nil {
			id = in.imageID()
		}
	}
	return id, err == nil && s.has(id), err
}
