// Package ratelimit limits how often, how much and how strictly: in events per second
// with bursts ([Limiter], whose methods are those of golang.org/x/time/rate), for
// each key ([Keyed]), in any window of time ([Window]), by several limits at once
// ([Multi]), and in bytes ([Reader], [Writer]).
package ratelimit
