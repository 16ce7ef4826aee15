// Package picker answers one question: which block should this peer be asked
// for next?
package picker
