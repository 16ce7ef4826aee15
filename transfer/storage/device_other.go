//go:build !linux

package storage

import (
	"errors"
	"os"
)

func writesTo(*os.File) (state string, known bool) { return "", false }

func zeroRange(*os.File, int64, int64) error { return errors.ErrUnsupported }
