// Package retry decides which failed calls are made again, and when. What it does is
// documented for users at pool.RetryPolicy.
package retry
