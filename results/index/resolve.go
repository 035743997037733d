package index

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Resolve returns the folder that a user means: a path of a campaign's folder,
// or what Find takes, in which case the error can be a *RefError.
func Resolve(ctx context.Context, resultsDir, ref string) (string, error) {
	if info, err := os.Stat(ref); err == nil && info.IsDir() || strings.ContainsRune(ref, filepath.Separator) {
		return ref, nil // what is wrong with it, who reads it will say
	}
	x, err := Open(ctx, resultsDir)
	if err != nil {
		return "", err
	}
	defer x.Close()
	c, err := x.Find(ctx, ref)
	return filepath.Join(resultsDir, c.ID), err
}

// ParseSince reads a point in time: a date such as 2026-11-25, a time such as
// 2026-11-25T20:00:00Z, or how long ago it was, such as 36h or 7d.
func ParseSince(text string, now time.Time) (time.Time, error) {
	if t, err := time.ParseInLocation(time.DateOnly, text, now.Location()); err == nil {
		return t, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n < 36525 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, fmt.Errorf("%q is no point in time: give a date such as 2026-11-25, or how long ago, such as 36h or 7d", text)
}
