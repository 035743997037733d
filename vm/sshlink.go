package vm

import (
	"context"
	"net"
	"slices"
	"sync"

	"github.com/melbahja/goph"
)

// maxIdle is how many unused connections are kept.
const maxIdle = 4

// sshLink holds the connections to a guest's SSH server. A connection carries
// one session at a time: dropbear 2022.83, Debian 12's, mixes up the ends of
// sessions that share one ("Failed assertion ... !channel->sent_close") and then
// drops them all. Commands that run side by side therefore get a connection each.
type sshLink struct {
	config *goph.Config

	// dialing keeps connections coming one by one: dropbear refuses more
	// than five that have not authenticated yet.
	dialing sync.Mutex

	mu     sync.Mutex
	open   []*goph.Client // the oldest first, idle ones included
	idle   []*goph.Client
	closed bool
}

// take returns a connection for the caller alone, until give or drop.
func (l *sshLink) take(ctx context.Context) (*goph.Client, error) {
	if client, err := l.takeIdle(); client != nil || err != nil {
		return client, err
	}
	l.dialing.Lock()
	defer l.dialing.Unlock()
	client, err := dial(ctx, l.config)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		_ = client.Close()
		return nil, net.ErrClosed
	}
	l.open = append(l.open, client)
	return client, nil
}

func (l *sshLink) takeIdle() (*goph.Client, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, net.ErrClosed
	}
	if n := len(l.idle); n > 0 {
		client := l.idle[n-1]
		l.idle = l.idle[:n-1]
		return client, nil
	}
	return nil, nil
}

// give returns a connection that works.
func (l *sshLink) give(client *goph.Client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.idle) == maxIdle {
		l.forget(client)
		return
	}
	l.idle = append(l.idle, client)
}

// drop ends a connection that has failed.
func (l *sshLink) drop(client *goph.Client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget(client)
}

func (l *sshLink) forget(client *goph.Client) {
	same := func(c *goph.Client) bool { return c == client }
	l.open = slices.DeleteFunc(l.open, same)
	l.idle = slices.DeleteFunc(l.idle, same)
	_ = client.Close()
}

// oldest returns a connection to ask for a sign of life over, busy or not.
func (l *sshLink) oldest() *goph.Client {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) == 0 {
		return nil
	}
	return l.open[0]
}

// close ends all connections for good.
func (l *sshLink) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for len(l.open) > 0 {
		l.forget(l.open[0])
	}
}
