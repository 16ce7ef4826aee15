package store

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// ErrDamaged means that data on the disk is not what was written there. Such
// an entry counts as absent; the error tells that it should not be.
var ErrDamaged = errors.New("damaged data")

// guard runs fn, which touches mapped memory, and turns the faults and panics
// that a damaged file or a failing disk causes there into an error.
func guard(path string, fn func() error) (err error) {
	old := debug.SetPanicOnFault(true) // of this goroutine
	defer debug.SetPanicOnFault(old)
	defer func() {
		if r := recover(); r != nil {
			err = &faultError{path: path, cause: fmt.Sprint(r)}
		}
	}()
	return fn()
}

// faultError is a fault or panic inside the mapped database.
type faultError struct{ path, cause string }

func (e *faultError) Error() string {
	return fmt.Sprintf("database %s cannot be read: %s", e.path, e.cause)
}

func (e *faultError) Unwrap() error { return ErrDamaged }
