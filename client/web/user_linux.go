package web

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// socketTables list the TCP sockets of this machine with their users (proc_pid_net(5)). A
// connection of an IPv6 socket to 127.0.0.1 is in the second.
var socketTables = []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"}

// userOf says which user holds the end of a connection within this machine that is local
// to it. told is false where the system does not say it; uid is -1 when it has no such
// connection, or not any more.
func userOf(local, remote netip.AddrPort) (uid int, told bool) {
	for _, table := range socketTables {
		f, err := os.Open(table)
		if err != nil {
			continue // as one is without IPv6
		}
		told = true
		uid, found := socketUser(f, local, remote)
		f.Close()
		if found {
			return uid, true
		}
	}
	return -1, told
}

// established is TCP_ESTABLISHED.
const established = "01"

// socketUser looks into one table. Only a connection that is open at that end counts: of
// one that was closed the table has root for its user, and no inode.
func socketUser(table io.Reader, local, remote netip.AddrPort) (uid int, found bool) {
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		// sl local_address rem_address st queues tr tm->when retrnsmt uid timeout inode
		f := strings.Fields(lines.Text())
		if len(f) < 10 || f[3] != established || f[9] == "0" || socketAddr(f[1]) != local || socketAddr(f[2]) != remote {
			continue
		}
		uid, err := strconv.Atoi(f[7])
		return uid, err == nil
	}
	return 0, false
}

// socketAddr reads ADDRESS:PORT in hex: words of four bytes as this machine has them in
// memory. The zero value when it is none.
func socketAddr(s string) netip.AddrPort {
	host, port, _ := strings.Cut(s, ":")
	b, err := hex.DecodeString(host)
	n, portErr := strconv.ParseUint(port, 16, 16)
	if err != nil || portErr != nil || (len(b) != 4 && len(b) != 16) {
		return netip.AddrPort{}
	}
	for i := 0; i < len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	addr, _ := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(addr.Unmap(), uint16(n))
}
