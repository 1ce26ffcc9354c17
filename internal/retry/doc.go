// Package retry decides which failed calls are repeated, and when. Its behavior is
// documented for users at pool.RetryPolicy.
package retry
