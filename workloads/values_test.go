package workloads

import (
	"testing"
	"time"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]Size{
		"0": 0, "512": 512, "512B": 512, "32KiB": 32 << 10, "32K": 32 << 10, "32 KiB": 32 << 10,
		"1MiB": 1 << 20, "8G": 8 << 30, "8GiB": 8 << 30, "8gib": 8 << 30, "2TiB": 2 << 40,
	} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "KiB", "-1KiB", "1.5GiB", "1MB", "1XiB", "8388608TiB", "9223372036854775808", "1GiBs"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("ParseSize(%q) = %d, want an error", text, got)
		}
	}
}

func TestSizeString(t *testing.T) {
	for size, want := range map[Size]string{0: "0", 1: "1", 1000: "1000", 1024: "1KiB", 1536: "1536", 3 << 20: "3MiB", 1 << 40: "1TiB"} {
		if got := size.String(); got != want {
			t.Errorf("Size(%d) = %q, want %q", int64(size), got, want)
		}
		if back, err := ParseSize(size.String()); err != nil || back != size {
			t.Errorf("%v does not read back: %v, %v", size, back, err)
		}
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "90s": 90 * time.Second, "20m": 20 * time.Minute, "1h30m": 90 * time.Minute, "1h": time.Hour, "250ms": 250 * time.Millisecond,
	} {
		got, err := ParseDuration(text)
		if err != nil || time.Duration(got) != want {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v", text, got, err, want)
		}
		if back, err := ParseDuration(got.String()); err != nil || back != got {
			t.Errorf("%v does not read back: %v, %v", got, back, err)
		}
	}
	if s := Duration(time.Hour).String(); s != "1h" {
		t.Errorf("one hour is printed as %q", s)
	}
}

func TestShare(t *testing.T) {
	for text, want := range map[string]string{"1/4": "1/4", "0.25": "1/4", "1": "1/1", "2/3": "0.6666666666666666", "0.3": "0.3"} {
		got, err := ParseShare(text)
		if err != nil || got.String() != want {
			t.Errorf("ParseShare(%q) = %v, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "0", "1/0", "-1/4", "5/4", "1/4/2", "NaN", "Inf", "1/Inf", "x"} {
		if got, err := ParseShare(text); err == nil {
			t.Errorf("ParseShare(%q) = %v, want an error", text, got)
		}
	}
}

func TestEditDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"threads", "tread", 2}, {"file", "flie", 1}, {"mount", "umount", 1}, {"abc", "abc", 0}} {
		if got := editDistance(c.a, c.b); got != c.want {
			t.Errorf("editDistance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	names := []string{"function", "file", "fs", "sync"}
	for word, want := range map[string]string{
		"flie": `; did you mean "file"?`, "func": `; did you mean "function"?`, "xx": "", "unrelated": "", "fz": `; did you mean "fs"?`,
	} {
		if got := didYouMean(word, names); got != want {
			t.Errorf("didYouMean(%q) = %q, want %q", word, got, want)
		}
	}
}
