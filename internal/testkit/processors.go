//go:build !race || go1.27

package testkit

const oneProcessor = false
