package vm

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"patchproof/vm/guestimage"
)

// wake makes a machine that goes on from a snapshot an individual: its clock is
// set to now, its random numbers are its own, and its log has a beginning, which
// is the line that init writes in a guest that boots. The nonce of that line is
// the copy's own: what the others have in their memory does not help a program
// in the guest to guess it.
func (g *Guest) wake(ctx context.Context) error {
	var entropy [guestimage.ReseedBytes]byte
	if _, err := rand.Read(entropy[:]); err != nil {
		return fmt.Errorf("entropy: %w", err)
	}
	res, err := g.session(ctx, wakeScript(time.Now(), entropy[:], g.nonce, g.spec.OnWake))
	if err != nil {
		return err
	}
	if res.Status != 0 {
		return fmt.Errorf("status %d: %s", res.Status, printable(res.Stderr))
	}
	return nil
}

// wakeScript is the command line that wakes a guest. The mark comes first: all
// that follows is then part of a log that has begun.
func wakeScript(now time.Time, entropy []byte, nonce, onWake string) string {
	var octal strings.Builder
	for _, b := range entropy {
		fmt.Fprintf(&octal, `\%03o`, b)
	}
	lines := []string{
		"set -e",
		"echo " + shellQuote("patchproof "+nonce+" canary begin") + " >/dev/kmsg",
		fmt.Sprintf("date -s @%d >/dev/null", now.Unix()),
		"printf '" + octal.String() + "' | /" + guestimage.ReseedPath + " >/dev/urandom",
	}
	if onWake != "" {
		lines = append(lines, onWake)
	}
	return strings.Join(lines, "\n")
}
