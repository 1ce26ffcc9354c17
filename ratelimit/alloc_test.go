package ratelimit_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/millstream-go/millstream/ratelimit"
)

func TestNoAllocations(t *testing.T) {
	ctx := t.Context()
	granted := ratelimit.NewLimiter(1e9, 1e6)
	denied := ratelimit.NewLimiter(0, 0)
	inf := ratelimit.NewLimiter(ratelimit.Inf, 0)
	keyed := ratelimit.NewKeyed[string](1e9, 1e6)
	keyed.Allow("known")
	empty := ratelimit.NewKeyed[string](0, 1)
	empty.Allow("known")
	window := ratelimit.NewWindow(1, time.Hour)
	window.Allow()
	multi := ratelimit.Multi(granted, inf)
	now := time.Now()
	for name, f := range map[string]func(){
		"Allow granted":       func() { granted.Allow() },
		"Allow denied":        func() { denied.Allow() },
		"Allow without limit": func() { inf.Allow() },
		"AllowN":              func() { granted.AllowN(now, 2) },
		"Take":                func() { granted.Take(1) },
		"Wait with tokens":    func() { _ = granted.Wait(ctx) },
		"WaitN with tokens":   func() { _ = granted.WaitN(ctx, 3) },
		"Wait without limit":  func() { _ = inf.Wait(ctx) },
		"Keyed.Allow granted": func() { keyed.Allow("known") },
		"Keyed.Allow denied":  func() { empty.Allow("known") },
		"Keyed.Wait":          func() { _ = keyed.Wait(ctx, "known") },
		"Keyed.Take":          func() { keyed.Take("known", 1) },
		"Window.Allow denied": func() { window.Allow() },
		"MultiLimiter.Allow":  func() { multi.Allow() },
		"Refund":              func() { granted.Refund(1) },
	} {
		assert.Zero(t, testing.AllocsPerRun(100, f), name)
	}
}
