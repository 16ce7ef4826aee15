package main

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"slices"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// ownRoots is where most Linux systems have their certificates.
var ownRoots = []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"}

// hasCertificates tells whether a file begins with some, within 16 KiB. To miss some that
// are there costs time only: where a machine has its own, Mozilla's are not used.
func hasCertificates(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var begin [16 << 10]byte
	n, _ := io.ReadFull(f, begin[:])
	return bytes.Contains(begin[:n], []byte("-----BEGIN CERTIFICATE-----"))
}

// fallBack has https trackers, web seeds and .torrents checked with Mozilla's certificates
// where a machine has none of its own, as in an image that holds nothing but this program.
// To read all of them takes several milliseconds, of every command.
func fallBack() {
	own := ownRoots
	if named := os.Getenv("SSL_CERT_FILE"); named != "" {
		own = []string{named}
	}
	if slices.ContainsFunc(own, hasCertificates) {
		return
	}
	pool := x509.NewCertPool()
	for root := range bundle.Roots() {
		cert, err := x509.ParseCertificate(root.Certificate)
		if err != nil {
			panic(fmt.Sprintf("a certificate of this program: %v", err))
		}
		if root.Constraint == nil {
			pool.AddCert(cert)
		} else {
			pool.AddCertWithConstraint(cert, root.Constraint)
		}
	}
	x509.SetFallbackRoots(pool)
}
