package orchestrator

import "testing"

func TestChoose(t *testing.T) {
	host := room{cpus: 4, memMiB: 4096, diskMiB: 100_000, guests: 3}
	need := func(cpus, mem int) room { return room{cpus: cpus, memMiB: mem, diskMiB: 2048, guests: 1} }
	small, large, giant := need(1, 512), need(3, 1024), need(64, 65536)
	busy := func(cpus, guests int) room { return room{cpus: cpus, memMiB: 512, diskMiB: 2048, guests: guests} }
	for _, c := range []struct {
		name       string
		candidates []candidate
		used       room
		want       int // cell, -1 for none
	}{
		{"nothing to do", nil, room{}, -1},
		{"the longest first", []candidate{{cell: 1, seconds: 5, need: small}, {cell: 2, seconds: 9, need: small}}, room{}, 2},
		{"the unknown before the known", []candidate{{cell: 1, seconds: 5, need: small}, {cell: 2, need: small}}, room{}, 2},
		{"the plan's order among equals", []candidate{{cell: 2, need: small}, {cell: 1, need: small}}, room{}, 1},
		{"first runs before second ones", []candidate{{cell: 1, begun: 1, seconds: 99, need: small}, {cell: 2, seconds: 1, need: small}}, room{}, 2},
		{"a small one overtakes", []candidate{{cell: 1, seconds: 9, need: large}, {cell: 2, seconds: 1, need: small}}, busy(2, 1), 2},
		{"but not one that has fewer runs", []candidate{{cell: 1, need: large}, {cell: 2, begun: 1, need: small}}, busy(2, 1), -1},
		{"no processor is left", []candidate{{cell: 1, need: small}}, busy(4, 1), -1},
		{"no memory is left", []candidate{{cell: 1, need: need(1, 3600)}}, busy(1, 1), -1},
		{"no more guests", []candidate{{cell: 1, need: small}}, busy(1, 3), -1},
		{"alone, any size fits", []candidate{{cell: 1, need: giant}}, room{}, 1},
		{"alone, beside a build", []candidate{{cell: 1, need: giant}}, room{cpus: 2}, 1},
		{"the disk is reserved", []candidate{{cell: 1, need: room{cpus: 1, diskMiB: 99_000, guests: 1}}}, busy(1, 1), -1},
		{"a quarter of the host fits", []candidate{{cell: 1, need: room{share: 0.25, guests: 1}}}, room{share: 0.5, cpus: 1, diskMiB: 1, guests: 2}, 1},
		{"and no more than that", []candidate{{cell: 1, need: room{share: 0.3, guests: 1}}}, room{share: 0.5, cpus: 1, guests: 2}, -1},
		{"thirds make a whole", []candidate{{cell: 1, need: room{share: 1.0 / 3, guests: 1}}}, room{share: 2.0 / 3, guests: 2}, 1},
		{"alone, a sparse disk fits", []candidate{{cell: 1, need: room{cpus: 1, diskMiB: 200_000, guests: 1}}}, room{}, 1},
	} {
		got := -1
		if best, ok := choose(c.candidates, host, c.used); ok {
			got = best.cell
		}
		if got != c.want {
			t.Errorf("%s: cell %d, want %d", c.name, got, c.want)
		}
	}
	full := host
	full.diskMiB = 100
	if _, ok := choose([]candidate{{need: small}}, full, room{}); ok {
		t.Error("a guest is started on a full disk")
	}
}
