// Package manual answers one question: what does a program's manual say? What its commands
// say of themselves. Those who make packages ask for it, by a program that is built with the
// tag manual: what writes the pages is large, and would cost every start of the others.
package manual
