module github.com/millstream-go/millstream/benchmarks

go 1.26

require github.com/millstream-go/millstream v0.0.0

require github.com/sourcegraph/conc v0.3.0 // indirect

replace github.com/millstream-go/millstream => ../
