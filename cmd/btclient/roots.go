package main

// Where a machine has no certificates of its own, as in an image that holds nothing but
// this program, https trackers, web seeds and .torrents are checked with Mozilla's.
import _ "golang.org/x/crypto/x509roots/fallback"
