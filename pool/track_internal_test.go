package pool

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millstream-go/millstream/result"
)

// A job has ended for its waiters a moment before the registry learns of it. In that moment
// Jobs lists no more of those that ended than it is to.
func TestJobsListsNoMoreEndedJobsThanAreTracked(t *testing.T) {
	for _, keep := range []int{0, 1, 2} {
		begun, gate := make(chan struct{}), make(chan struct{})
		call := func(context.Context, int) (int, error) {
			begun <- struct{}{}
			<-gate
			return 0, nil
		}
		p := New(call, Workers(1), Track(keep), Observe(func(Event) {}))
		var last *Job[int]
		for i := range 4 {
			var err error
			last, err = p.TrySubmit(i)
			require.NoError(t, err)
		}
		for range 3 {
			<-begun
			gate <- struct{}{}
		}
		<-begun
		p.watch.mu.Lock() // the worker is to wait here, with the job ended and the registry not told
		gate <- struct{}{}
		<-last.Done()
		jobs := p.Jobs()
		p.watch.mu.Unlock()

		ids := make([]uint64, len(jobs))
		for i, j := range jobs {
			ids[i] = j.ID
			assert.Equal(t, result.Succeeded, j.Status)
		}
		assert.Equal(t, []uint64{1, 2, 3, 4}[4-keep:], ids)
		require.NoError(t, p.Close())
	}
}

func TestWithoutOldEnds(t *testing.T) {
	info := func(id uint64, status result.Status, finished time.Duration) JobInfo {
		return JobInfo{ID: id, Status: status, Timing: result.Timing{Queued: time.Unix(0, 0), Wait: finished}}
	}
	infos := []JobInfo{
		info(1, result.Succeeded, 9), info(2, result.Running, 1), info(3, result.Failed, 2),
		info(4, result.Canceled, 2), info(5, result.Queued, 0), info(6, result.Panicked, 5),
	}
	for keep, want := range [][]uint64{{2, 5}, {1, 2, 5}, {1, 2, 5, 6}, {1, 2, 4, 5, 6}, {1, 2, 3, 4, 5, 6}, {1, 2, 3, 4, 5, 6}} {
		var ids []uint64
		for _, i := range withoutOldEnds(append([]JobInfo{}, infos...), keep) {
			ids = append(ids, i.ID)
		}
		assert.Equal(t, want, ids, "keep %d", keep)
	}
}
