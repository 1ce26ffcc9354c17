package pool
import ("testing";"context";"errors";"sync/atomic";"testing/synctest";"time")
func inc(_ context.Context, v int) (int, error) { return v+1, nil }
func seqN(n int) func(func(int) bool) { return func(y func(int) bool) { for i:=0;i<n;i++ { if !y(i) {return} } } }
func BenchmarkDo(b *testing.B) { p := New(inc, Workers(8)); defer p.Close(); b.ReportAllocs(); ctx := context.Background(); for i:=0;i<b.N;i++ { if _, err := p.Do(ctx, i); err != nil { b.Fatal(err)} } }
func BenchmarkSubmit(b *testing.B) { p := New(inc, Workers(8)); defer p.Close(); b.ReportAllocs(); ctx := context.Background(); var last *Job[int]; for i:=0;i<b.N;i++ { j, err := p.Submit(ctx, i); if err != nil { b.Fatal(err)}; last=j }; p.Shutdown(ctx); _ = last }
func BenchmarkMap(b *testing.B) { p := New(inc, Workers(8)); defer p.Close(); b.ReportAllocs(); ctx := context.Background(); ins := make([]int, b.N); b.ResetTimer(); if _, err := p.Map(ctx, ins); err != nil { b.Fatal(err)} }
func BenchmarkStream(b *testing.B) { p := New(inc, Workers(8)); defer p.Close(); b.ReportAllocs(); ctx := context.Background(); n:=0; for r := range p.Stream(ctx, seqN(b.N)) { if r.Err != nil {b.Fatal(r.Err)}; n++ }; if n != b.N {b.Fatal(n)} }
func TestQuick(t *testing.T) {
	p := New(inc, Workers(3), Queue(10)); ctx := context.Background()
	for i := range 1000 { v, err := p.Do(ctx, i); if v != i+1 || err != nil {t.Fatal(v, err)} }
	var js []*Job[int]
	for i := range 1000 { j, err := p.Submit(ctx, i); if err != nil {t.Fatal(err)}; js = append(js, j) }
	for i, j := range js { v, err := j.Wait(ctx); if v != i+1 || err != nil {t.Fatal(v, err)} }
	outs, err := p.Map(ctx, make([]int, 100000)); if err != nil {t.Fatal(err)}; for _, o := range outs { if o != 1 {t.Fatal(o)} }
	n := 0
	for r := range p.Stream(ctx, seqN(10000)) { if r.Value != r.Index+1 || r.Err != nil {t.Fatal(r)}; n++ }
	if n != 10000 {t.Fatal(n)}
	for range p.Stream(ctx, seqN(10000)) { break }
	if err := p.Shutdown(ctx); err != nil {t.Fatal(err)}
	if _, err := p.Submit(ctx, 1); !errors.Is(err, ErrClosed) {t.Fatal(err)}
	p.Close()
}
func TestSlow(t *testing.T) { synctest.Test(t, func(t *testing.T) {
	var run, peak atomic.Int64
	p := New(func(ctx context.Context, v int) (int, error) { n := run.Add(1); if n > peak.Load() { peak.Store(n) }; if v >= 100 { time.Sleep(time.Second) }; run.Add(-1); return v, nil }, Workers(8))
	ctx := context.Background()
	for i := range 100 { p.Submit(ctx, i) }
	synctest.Wait()
	start := time.Now()
	for i := range 16 { p.Submit(ctx, 100+i) }
	p.Shutdown(ctx)
	if d := time.Since(start); d != 2*time.Second { t.Fatal(d) }
	if peak.Load() > 8 { t.Fatal(peak.Load()) }
}) }
