package main

import (
	"context"
	"io"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/examples/internal/show"
	"github.com/millstream-go/millstream/internal/testkit"
)

// most remembers the highest that it was.
type most struct{ now, peak atomic.Int64 }

func (m *most) add(n int64) {
	now := m.now.Add(n)
	for {
		peak := m.peak.Load()
		if now <= peak || m.peak.CompareAndSwap(peak, now) {
			return
		}
	}
}

// However slow the shrinking is, few files wait for it, and a picture that takes
// long does not make the others pile up behind it. These are the numbers that
// README.md gives.
func TestMemoryIsBounded(t *testing.T) {
	one := picture(t, "one.png", red, 8, 8)
	testkit.Bubble(t, func(t *testing.T) {
		const workers = 3
		files := fstest.MapFS{}
		for i := range 400 {
			files[show.Commas(10_000+i)+".png"] = one
		}
		g, err := openGallery(t.TempDir())
		require.NoError(t, err)
		defer g.close()
		p := settings(t, "-size", "32").newPass(files, g, io.Discard)

		var texts, pictures, small most
		do := p.do
		p.do.read = func(ctx context.Context, e entry) (source, error) {
			texts.add(1)
			return do.read(ctx, e)
		}
		p.do.shrink = func(ctx context.Context, src source) (thumbnail, error) {
			pictures.add(1)
			defer func() { pictures.add(-1); texts.add(-1); small.add(1) }()
			time.Sleep(time.Second)
			if src.path == "10,100.png" {
				time.Sleep(time.Hour)
			}
			return do.shrink(ctx, src)
		}
		p.tick = func() { small.add(-1) }
		p.pipeline(t.Context(), workers)

		assert.Equal(t, 400, p.totals.sum().Count)
		assert.EqualValues(t, workers, pictures.peak.Load(), "decoded pictures")
		assert.LessOrEqual(t, texts.peak.Load(), int64((readAhead+2)*workers+1), "files in memory")
		assert.LessOrEqual(t, small.peak.Load(), int64(shrunkWait*workers), "thumbnails behind a slow picture")
		assert.Greater(t, small.peak.Load(), int64(shrunkWait*workers)/2, "but it does not hold them all up")
	})
}

// The pipeline and the plain loop do the same, also for what goes wrong.
func TestPlainLoopDoesTheSame(t *testing.T) {
	fsys := troubled(t)
	var passes [2]*pass
	for i, run := range []func(*pass){
		func(p *pass) { p.pipeline(t.Context(), 3) },
		func(p *pass) { p.plainLoop(t.Context()) },
	} {
		g, err := openGallery(t.TempDir())
		require.NoError(t, err)
		t.Cleanup(g.close)
		passes[i] = settings(t, "-sheet", "4").newPass(fsys, g, io.Discard)
		run(passes[i])
	}
	assert.Equal(t, passes[0].digest, passes[1].digest)
	assert.NotZero(t, passes[0].digest)
	assert.Equal(t, passes[0].album.digest, passes[1].album.digest)
	assert.Equal(t, []string{"contact.png", "contact-2.png", "contact-3.png"}, passes[1].album.sheets)
	for i := range passes[0].problems.list {
		assert.Equal(t, passes[0].problems.list[i].Path, passes[1].problems.list[i].Path)
		assert.Equal(t, passes[0].problems.list[i].Kind, passes[1].problems.list[i].Kind)
	}
}
