package client

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// hasWriter says whether a process has a file open for writing, as far as the system
// tells: it grants a read lease only on what nobody writes to (fcntl(2), F_SETLEASE).
// known is false where it does not tell, as on files of others and on network file
// systems.
func hasWriter(path string) (writer, known bool) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return false, false
	}
	defer f.Close()
	_, err = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
	if err == nil {
		// Whoever wants to write in this moment waits for this.
		_, err = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
		return false, err == nil
	}
	return errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EAGAIN)
}
