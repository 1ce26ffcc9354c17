package main

import (
	"context"
	"io"
	"net/url"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func address(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	require.NoError(t, err)
	return u
}

func TestFrontierGivesOneOfEachHostInTurnAndNothingTwice(t *testing.T) {
	f := newFrontier(100)
	for _, text := range []string{"http://a/1", "http://a/2", "http://a/1", "http://a/3", "http://b/1", "http://b/2"} {
		f.add(address(t, text))
	}
	var got []string
	for range 5 {
		u, err := f.next(t.Context())
		require.NoError(t, err)
		got = append(got, u.String())
	}
	assert.Equal(t, []string{"http://a/1", "http://b/1", "http://a/2", "http://b/2", "http://a/3"}, got)
}

func TestFrontierEndsWhenNothingIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFrontier(2)
		f.add(address(t, "http://a/1"))
		_, err := f.next(t.Context())
		require.NoError(t, err)

		var second *url.URL
		var ended bool
		go func() {
			second, err = f.next(t.Context())
			_, last := f.next(t.Context())
			ended = last == io.EOF //nolint:errorlint // a source ends with io.EOF itself
		}()
		synctest.Wait()
		assert.Nil(t, second, "the first one may still lead to more")
		f.done(address(t, "http://a/2"), address(t, "http://a/3"))
		synctest.Wait()
		require.NoError(t, err)
		assert.Equal(t, "/2", second.Path)
		f.done()
		synctest.Wait()
		assert.True(t, ended, "the third is one too many")
		assert.Equal(t, 2, f.found())
	})
}

func TestFrontierWaitsNoLongerThanItsContext(t *testing.T) {
	f := newFrontier(2)
	f.add(address(t, "http://a/1"))
	_, err := f.next(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = f.next(ctx)
	assert.ErrorIs(t, err, context.Canceled)
}
