package workloads

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes, written in YAML as a whole number with a binary
// unit: 32KiB, 8GiB. K, M, G and T mean the same, as they do to sysbench and
// mkfs; decimal units (KB, MB) are refused because these tools would read them
// as binary ones.
type Size int64

// Binary units.
const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
	TiB Size = 1 << 40
)

// sizeUnits is ordered from the largest, for printing.
var sizeUnits = []struct {
	name string
	size Size
}{{"TiB", TiB}, {"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB}}

// ParseSize reads a size as written in YAML.
func ParseSize(s string) (Size, error) {
	digits := strings.TrimRight(s, "BKMGTibkmgt ")
	unit := strings.ToLower(strings.TrimSpace(s[len(digits):]))
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("expected a size such as 512, 32KiB or 8GiB, got %s", shorten(s))
	}
	factor := Size(1)
	switch unit {
	case "", "b":
	case "kib", "k":
		factor = KiB
	case "mib", "m":
		factor = MiB
	case "gib", "g":
		factor = GiB
	case "tib", "t":
		factor = TiB
	default:
		return 0, fmt.Errorf("unknown unit in size %s; expected KiB, MiB, GiB or TiB", shorten(s))
	}
	if n > math.MaxInt64/int64(factor) {
		return 0, fmt.Errorf("size %s is too large", shorten(s))
	}
	return Size(n) * factor, nil
}

// String renders the size with the largest unit that keeps it whole.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if s != 0 && s%u.size == 0 {
			return strconv.FormatInt(int64(s/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// MarshalText implements encoding.TextMarshaler.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSize(string(text))
	return err
}

// Duration is a length of time, written in YAML with a unit: 90s, 20m, 1h30m.
type Duration time.Duration

// ParseDuration reads a duration as written in YAML. It must not be negative.
func ParseDuration(s string) (Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		hint := ""
		if _, isNumber := strconv.ParseFloat(s, 64); isNumber == nil {
			hint = " (the unit is missing)"
		}
		return 0, fmt.Errorf("expected a duration such as 90s, 20m or 1h30m, got %s%s", shorten(s), hint)
	}
	return Duration(d), nil
}

// String renders the duration without the zero parts that time.Duration
// prints ("20m", not "20m0s").
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDuration(string(text))
	return err
}

// Share is a part of a whole, written in YAML as 1/4 or 0.25.
type Share float64

// ParseShare reads a share, which is above 0 and at most 1.
func ParseShare(s string) (Share, error) {
	above, below, isFraction := strings.Cut(s, "/")
	if !isFraction {
		below = "1"
	}
	a, errA := strconv.ParseFloat(above, 64)
	b, errB := strconv.ParseFloat(below, 64)
	if errA != nil || errB != nil || !(a > 0) || !(b > 0) || !(a/b > 0) || a/b > 1 {
		return 0, fmt.Errorf("expected a share above 0 and at most 1, such as 1/4 or 0.25, got %s", shorten(s))
	}
	return Share(a / b), nil
}

// String renders one in a whole number as a fraction.
func (s Share) String() string {
	if n := math.Round(1 / float64(s)); s > 0 && n < 1e6 && Share(1/n) == s {
		return "1/" + strconv.Itoa(int(n))
	}
	return strconv.FormatFloat(float64(s), 'g', -1, 64)
}

// MarshalText implements encoding.TextMarshaler.
func (s Share) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Share) UnmarshalText(text []byte) (err error) {
	*s, err = ParseShare(string(text))
	return err
}
