package pipeline
import ("testing";"context";"slices";"sync")
func inc(_ context.Context, v int) (int, error) { return v+1, nil }
func seqN(n int) func(func(int) bool) { return func(y func(int) bool) { for i:=0;i<n;i++ { if !y(i) {return} } } }
func bench(b *testing.B, opts ...StageOption) {
	b.ReportAllocs()
	f := Map(Map(Map(From(seqN(b.N)), inc, opts...), inc, opts...), inc, opts...)
	n := 0
	for r := range f.Results(context.Background()) { if r.Err != nil { b.Fatal(r.Err) }; n++ }
	if n != b.N { b.Fatal(n) }
}
func BenchmarkThree4(b *testing.B) { bench(b, Workers(4)) }
func BenchmarkThree4Ordered(b *testing.B) { bench(b, Workers(4), Ordered()) }
func BenchmarkThree1(b *testing.B) { bench(b, Workers(1)) }
func BenchmarkThreeFused(b *testing.B) { bench(b) }
func BenchmarkThree4Collect(b *testing.B) {
	b.ReportAllocs()
	f := Map(Map(Map(From(seqN(b.N)), inc, Workers(4)), inc, Workers(4)), inc, Workers(4))
	n := 0
	for _, err := range f.All(context.Background()) { if err != nil { b.Fatal(err) }; n++ }
	if n != b.N { b.Fatal(n) }
}
func BenchmarkHandChannels(b *testing.B) {
	stage := func(in chan int) chan int { out := make(chan int, 64); var wg sync.WaitGroup; for range 4 { wg.Go(func(){ for v := range in { out <- v+1 } }) }; go func(){ wg.Wait(); close(out) }(); return out }
	src := make(chan int, 64)
	go func(){ for i:=0;i<b.N;i++ { src <- i }; close(src) }()
	n := 0
	for range stage(stage(stage(src))) { n++ }
	if n != b.N { b.Fatal(n) }
}
func TestOrder(t *testing.T) {
	for range 20 {
	f := Map(Map(Map(From(seqN(10000)), inc, Workers(4), Ordered()), inc, Workers(4), Ordered()), inc, Workers(4), Ordered())
	got, err := f.Collect(context.Background())
	if err != nil || len(got) != 10000 || !slices.IsSorted(got) || got[0] != 3 { t.Fatal(err, len(got)) }
	}
}
