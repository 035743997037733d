package vm

import (
	"strings"
	"testing"
)

const usernetHeader = "Hub -1 (net):\r\n  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r\n"

func TestParseUsernet(t *testing.T) {
	for _, test := range []struct {
		name, text string
		port       int
		err        string
	}{
		{"as QEMU 7.2 prints it", usernetHeader + "  TCP[HOST_FORWARD]  13       127.0.0.1 40123       10.0.2.15    22     0     0\r\n", 40123, ""},
		{"with a connection", usernetHeader + "  TCP[ESTABLISHED]   14       127.0.0.1 40123       10.0.2.15    22     0     0\r\n  TCP[HOST_FORWARD]  13       127.0.0.1 40123       10.0.2.15    22     0     0\r\n", 40123, ""},
		{"any address", usernetHeader + "  TCP[HOST_FORWARD]  13               * 40123       10.0.2.15    22     0     0\r\n", 0, "127.0.0.1"},
		{"other port", usernetHeader + "  TCP[HOST_FORWARD]  13       127.0.0.1 40123       10.0.2.15    80     0     0\r\n", 0, "no forwarded"},
		{"port 0", usernetHeader + "  TCP[HOST_FORWARD]  13       127.0.0.1     0       10.0.2.15    22     0     0\r\n", 0, "usable port"},
		{"nothing", "", 0, "no forwarded"},
	} {
		t.Run(test.name, func(t *testing.T) {
			port, err := parseUsernet(test.text)
			if port != test.port || (err == nil) != (test.err == "") || (err != nil && !strings.Contains(err.Error(), test.err)) {
				t.Errorf("got %d, %v; want %d, %q", port, err, test.port, test.err)
			}
		})
	}
}

func FuzzParseUsernet(f *testing.F) {
	f.Add(usernetHeader + "  TCP[HOST_FORWARD]  13       127.0.0.1 40123       10.0.2.15    22     0     0\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		port, err := parseUsernet(text)
		if (err == nil) != (port >= 1 && port <= 65535) {
			t.Fatalf("port %d with error %v", port, err)
		}
		if hasConnections(text) && !strings.Contains(text, "TCP[") {
			t.Fatal("a connection in a text without one")
		}
	})
}
