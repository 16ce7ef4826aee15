package secret

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Limits of a file of secrets.
const (
	MinBytes   = 32 // of a secret
	maxBytes   = 128
	maxSecrets = 16
	maxFile    = 64 << 10
)

// ErrFile means that a file is not one of secrets; the text says in which line.
var ErrFile = errors.New("not a file of secrets")

// Parse reads secrets, one a line in hexadecimal; empty lines and those that
// begin with # do not count, nor does one that was there before. The error is
// an ErrFile and never repeats what a line says.
func Parse(text []byte) ([][]byte, error) {
	if len(text) > maxFile {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrFile, maxFile)
	}
	var all [][]byte
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		s, err := hex.DecodeString(line)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%w: line %d is not hexadecimal: make one with `chordnode secret`", ErrFile, n)
		case len(s) < MinBytes:
			return nil, fmt.Errorf("%w: line %d has %d bytes, %d are the least: make one with `chordnode secret`", ErrFile, n, len(s), MinBytes)
		case len(s) > maxBytes:
			return nil, fmt.Errorf("%w: line %d has %d bytes, %d are the most", ErrFile, n, len(s), maxBytes)
		}
		if !contains(all, s) {
			all = append(all, s)
		}
	}
	switch {
	case len(all) == 0:
		return nil, fmt.Errorf("%w: no secret is in it: make one with `chordnode secret`", ErrFile)
	case len(all) > maxSecrets:
		return nil, fmt.Errorf("%w: %d secrets, %d are the most", ErrFile, len(all), maxSecrets)
	}
	return all, nil
}

func contains(all [][]byte, s []byte) bool {
	for _, have := range all {
		if bytes.Equal(have, s) {
			return true
		}
	}
	return false
}

// Generate gives the text of a file with one new secret.
func Generate() string {
	var s [MinBytes]byte
	_, _ = rand.Read(s[:]) // never fails
	return hex.EncodeToString(s[:]) + "\n"
}

// Write makes a file with one new secret that only its owner can read. It
// never replaces a file: errors.Is(err, fs.ErrExist) when there is one.
func Write(file string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	_, _ = w.WriteString(Generate()) // Flush tells
	return errors.Join(w.Flush(), f.Sync(), f.Close())
}

// read gives a file's bytes, no more than one over the limit.
func read(file string) (text []byte, open bool, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, false, err
	}
	text, err = io.ReadAll(io.LimitReader(f, maxFile+1))
	// Of a credential systemd shows the mask of an access list as the mode of a group; the
	// directory lets nobody else in.
	credential := filepath.Dir(file) == os.Getenv("CREDENTIALS_DIRECTORY")
	return text, info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 && !credential, err
}
