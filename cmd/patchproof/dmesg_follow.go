package main

import (
	"context"
	"errors"
	"io"
	"time"

	"patchproof/dmesg"
)

// followPace says how often a growing file is looked at, and after how much
// silence the reports that have no end mark are taken for complete.
type followPace struct{ poll, silence time.Duration }

var livePace = followPace{poll: 200 * time.Millisecond, silence: 5 * time.Second}

// follow reads a live log until ctx ends: a file that grows, or a pipe until its
// writer closes it.
func follow(ctx context.Context, p *dmesg.Parser, in io.Reader, grows bool, pace followPace) error {
	chunks, failed := make(chan []byte), make(chan error, 1)
	go func() { failed <- readLive(ctx, chunks, in, grows, pace.poll) }()
	silence := time.NewTimer(pace.silence)
	defer silence.Stop()
	for {
		select {
		case chunk := <-chunks:
			p.Write(chunk) // never fails
			silence.Reset(pace.silence)
		case <-silence.C:
			p.Flush()
		case err := <-failed:
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

// readLive sends what it reads. It may stay blocked in a read after ctx has
// ended, because a pipe's read cannot be interrupted.
func readLive(ctx context.Context, chunks chan<- []byte, in io.Reader, grows bool, poll time.Duration) error {
	for {
		buf := make([]byte, 64<<10)
		n, err := in.Read(buf)
		if n > 0 {
			select {
			case chunks <- buf[:n]:
			case <-ctx.Done():
				return nil
			}
		}
		switch {
		case err != nil && !errors.Is(err, io.EOF):
			return err
		case err != nil && !grows:
			return nil
		case err != nil:
			select {
			case <-time.After(poll):
			case <-ctx.Done():
				return nil
			}
		}
	}
}
