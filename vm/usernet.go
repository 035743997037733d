package vm

import (
	"bufio"
	"errors"
	"strconv"
	"strings"
)

// parseUsernet finds the port on the loopback address that is forwarded to the
// guest's SSH port, in the answer to the monitor's "info usernet":
//
//	Hub -1 (net):
//	  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ
//	  TCP[HOST_FORWARD]  13       127.0.0.1 40123       10.0.2.15    22     0     0
func parseUsernet(text string) (port int, err error) {
	sc := bufio.NewScanner(strings.NewReader(text))
	for sc.Scan() {
		f := strings.Fields(sc.Text())
		if len(f) < 6 || f[0] != "TCP[HOST_FORWARD]" || f[5] != "22" {
			continue
		}
		if f[2] != "127.0.0.1" {
			return 0, errors.New("QEMU forwards the SSH port on " + strconv.Quote(f[2]) + " and not on 127.0.0.1 alone")
		}
		port, err := strconv.Atoi(f[3])
		if err != nil || port < 1 || port > 65535 {
			return 0, errors.New("QEMU names no usable port: " + strconv.Quote(f[3]))
		}
		return port, nil
	}
	if err := sc.Err(); err != nil {
		return 0, err
	}
	return 0, errors.New("QEMU lists no forwarded SSH port")
}
