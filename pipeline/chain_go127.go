//go:build go1.27

package pipeline

import (
	"context"
	"iter"

	"github.com/millstream-go/millstream/pool"
)

// From Go 1.27 on methods may have type parameters, so steps that change the type can
// be chained. Each method calls the function of the same name with f as its first argument.
// Batch, Window and GroupBy stay functions: a method of Flow[T] that returns a Flow of
// something made of T is an instantiation cycle.

// Map is the function [Map] applied to f.
func (f Flow[T]) Map[U any](fn func(context.Context, T) (U, error), opts ...StageOption) Flow[U] {
	return Map(f, fn, opts...)
}

// FlatMap is the function [FlatMap] applied to f.
func (f Flow[T]) FlatMap[U any](fn func(context.Context, T) (iter.Seq[U], error), opts ...StageOption) Flow[U] {
	return FlatMap(f, fn, opts...)
}

// Scan is the function [Scan] applied to f.
func (f Flow[T]) Scan[A any](init A, fn func(context.Context, A, T) (A, error), opts ...StageOption) Flow[A] {
	return Scan(f, init, fn, opts...)
}

// Reduce is the function [Reduce] applied to f.
func (f Flow[T]) Reduce[A any](init A, fn func(context.Context, A, T) (A, error), opts ...StageOption) Flow[A] {
	return Reduce(f, init, fn, opts...)
}

// Distinct is the function [Distinct] applied to f.
func (f Flow[T]) Distinct[K comparable](most int, key func(T) K, opts ...StageOption) Flow[T] {
	return Distinct(f, most, key, opts...)
}

// Via returns f followed by stage.
func (f Flow[T]) Via[U any](stage Stage[T, U]) Flow[U] {
	if stage == nil {
		panic("pipeline: Via: nil stage")
	}
	return stage(f)
}

// Broadcast is the function [Broadcast] applied to f.
func (f Flow[T]) Broadcast[U any](stages ...Stage[T, U]) Flow[U] { return Broadcast(f, stages...) }

// Route is the function [Route] applied to f.
func (f Flow[T]) Route[U any](pick func(T) int, stages ...Stage[T, U]) Flow[U] {
	return Route(f, pick, stages...)
}

// Partition is the function [Partition] applied to f.
func (f Flow[T]) Partition[K comparable, U any](n int, key func(T) K, stage Stage[T, U]) Flow[U] {
	return Partition(f, n, key, stage)
}

// Through is the function [Through] applied to f.
func (f Flow[T]) Through[U any](p *pool.Pool[T, U], opts ...StageOption) Flow[U] {
	return Through(f, p, opts...)
}
