package vm

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/melbahja/goph"
	"golang.org/x/crypto/ssh"
)

const (
	// keepaliveEvery is how often the guest is asked for a sign of life.
	keepaliveEvery = 5 * time.Second
	// dialTimeout bounds one attempt to connect, key exchange included.
	dialTimeout = 30 * time.Second
	// dialRetry is the pause between attempts.
	dialRetry = 200 * time.Millisecond
	// dialAttempts is after how many failed attempts in a guest whose server
	// is said to listen the server counts as unusable.
	dialAttempts = 5
)

// runKeys are the SSH keys of one run. They exist in memory, and in the guest.
type runKeys struct {
	host       ed25519.PrivateKey
	hostPublic ssh.PublicKey
	client     ssh.Signer
	clientKey  ed25519.PrivateKey
	// authorized is the client's line for authorized_keys.
	authorized []byte
}

func newRunKeys() (*runKeys, error) {
	_, host, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("SSH host key: %w", err)
	}
	hostSigner, err := ssh.NewSignerFromKey(host)
	if err != nil {
		return nil, fmt.Errorf("SSH host key: %w", err)
	}
	_, client, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("SSH client key: %w", err)
	}
	signer, err := ssh.NewSignerFromKey(client)
	if err != nil {
		return nil, fmt.Errorf("SSH client key: %w", err)
	}
	return &runKeys{
		host: host, hostPublic: hostSigner.PublicKey(), client: signer, clientKey: client,
		authorized: bytes.TrimSpace(ssh.MarshalAuthorizedKey(signer.PublicKey())),
	}, nil
}

// config is goph's description of the connection to the guest behind a port of
// this host: one user, one key, and the one host key that this run made.
func (k *runKeys) config(port int) *goph.Config {
	return &goph.Config{
		User: "root", Addr: "127.0.0.1", Port: uint(port), Timeout: dialTimeout,
		Auth:     goph.Auth{ssh.PublicKeys(k.client)},
		Callback: ssh.FixedHostKey(k.hostPublic),
	}
}

// dial connects. goph's own Dial can neither be cancelled nor told which
// algorithms to use: those here are the cheapest for an emulated processor.
func dial(ctx context.Context, c *goph.Config) (*goph.Client, error) {
	addr := net.JoinHostPort(c.Addr, strconv.Itoa(int(c.Port)))
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	// Closing the connection is what ends a key exchange with a dead guest.
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	sshConn, channels, requests, err := ssh.NewClientConn(conn, addr, &ssh.ClientConfig{
		Config: ssh.Config{
			KeyExchanges: []string{"curve25519-sha256", "curve25519-sha256@libssh.org"},
			Ciphers:      []string{"chacha20-poly1305@openssh.com", "aes128-ctr"},
		},
		User: c.User, Auth: c.Auth, HostKeyCallback: c.Callback,
		HostKeyAlgorithms: []string{ssh.KeyAlgoED25519},
	})
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, errors.Join(err, ignoreClosed(conn.Close()))
	}
	return &goph.Client{Client: ssh.NewClient(sshConn, channels, requests), Config: c}, nil
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// keepLink connects as soon as init says that the server listens, and then asks
// for signs of life until the guest ends.
func (g *Guest) keepLink(ctx context.Context) {
	select {
	case <-g.saidReady:
	case <-ctx.Done():
		return
	}
	if err := g.firstContact(ctx); err != nil {
		if ctx.Err() == nil {
			g.decide(FailureNoSSH, "init says that the SSH server listens, but it cannot be used: "+err.Error(), err)
		}
		return
	}
	if g.spec.Fork != nil {
		if err := g.wake(ctx); err != nil {
			if ctx.Err() == nil {
				g.decide(FailureInit, "the saved machine could not be woken: "+err.Error(), err)
			}
			return
		}
	}
	g.answered()
	g.mu.Lock()
	g.ev.ready = true
	g.mu.Unlock()
	close(g.usable)
	tick := time.NewTicker(keepaliveEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			g.keepalive(ctx)
		}
	}
}

func (g *Guest) firstContact(ctx context.Context) (err error) {
	for range dialAttempts {
		var client *goph.Client
		if client, err = g.link.take(ctx); err == nil {
			g.link.give(client)
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(dialRetry):
		}
	}
	return err
}

// keepalive asks once. Dropbear refuses the request, which is an answer. A
// guest that does not answer keeps this call until its connection is closed;
// the watcher sees to that.
func (g *Guest) keepalive(ctx context.Context) {
	client := g.link.oldest()
	if client == nil {
		if client, _ = g.link.take(ctx); client == nil {
			return
		}
		g.link.give(client)
	}
	if _, _, err := client.SendRequest("keepalive@openssh.com", true, nil); err != nil {
		g.link.drop(client)
		return
	}
	g.answered()
}

// answered notes a sign of life.
func (g *Guest) answered() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lastAnswer = time.Now()
}
