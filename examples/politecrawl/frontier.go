package main

import (
	"context"
	"io"
	"net/url"
	"sync"
)

// A frontier has the addresses that were found and not yet been asked for. It gives one of each
// host in turn, so that a host with many pages does not stand before the others.
type frontier struct {
	most int // addresses that it takes in all

	mu    sync.Mutex
	seen  map[string]bool
	hosts []string              // that have some waiting, in turn
	queue map[string][]*url.URL // of a host
	open  int                   // that were given and have not come back
	more  chan struct{}         // has a value after anything has changed
}

func newFrontier(most int) *frontier {
	return &frontier{most: most, seen: map[string]bool{}, queue: map[string][]*url.URL{}, more: make(chan struct{}, 1)}
}

// add takes what it does not know yet.
func (f *frontier) add(found ...*url.URL) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.addLocked(found)
}

func (f *frontier) addLocked(found []*url.URL) {
	for _, u := range found {
		if f.seen[u.String()] || len(f.seen) >= f.most {
			continue
		}
		f.seen[u.String()] = true
		if len(f.queue[u.Host]) == 0 {
			f.hosts = append(f.hosts, u.Host)
		}
		f.queue[u.Host] = append(f.queue[u.Host], u)
	}
}

// next returns an address, and waits for one while those that are out may still lead to more. When
// there is nothing to wait for, it returns io.EOF: the source of the pipeline ends.
func (f *frontier) next(ctx context.Context) (*url.URL, error) {
	for {
		u, open := f.pop()
		switch {
		case u != nil:
			return u, nil
		case open == 0:
			return nil, io.EOF
		}
		select {
		case <-f.more:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// pop returns an address, or nil and how many are open.
func (f *frontier) pop() (u *url.URL, open int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.hosts) == 0 {
		return nil, f.open
	}
	host := f.hosts[0]
	f.hosts = f.hosts[1:]
	u = f.queue[host][0]
	if f.queue[host] = f.queue[host][1:]; len(f.queue[host]) > 0 {
		f.hosts = append(f.hosts, host)
	}
	f.open++
	return u, f.open
}

// done says that an address that next gave has led to these.
func (f *frontier) done(found ...*url.URL) {
	f.mu.Lock()
	f.addLocked(found)
	f.open--
	f.mu.Unlock()
	select {
	case f.more <- struct{}{}:
	default: // next has not seen the last change yet
	}
}

// found is how many addresses there are.
func (f *frontier) found() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.seen)
}
