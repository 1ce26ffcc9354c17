module github.com/millstream-go/millstream/benchmarks

go 1.26.0

require (
	github.com/Jeffail/tunny v0.1.4
	github.com/alitto/pond/v2 v2.7.1
	github.com/deliveryhero/pipeline/v2 v2.0.0
	github.com/destel/rill v0.7.0
	github.com/gammazero/workerpool v1.3.0
	github.com/millstream-go/millstream v0.0.0
	github.com/panjf2000/ants/v2 v2.12.1
	github.com/reugn/go-streams v0.13.0
	github.com/sourcegraph/conc v0.3.0
	github.com/stretchr/testify v1.12.1
	golang.org/x/sync v0.24.0
)

require (
	github.com/deliveryhero/pipeline v0.4.0 // indirect
	github.com/gammazero/deque v1.2.2 // indirect
	go.uber.org/atomic v1.7.0 // indirect
	go.uber.org/multierr v1.9.0 // indirect
	go.yaml.in/yaml/v3 v3.0.6 // indirect
)

replace github.com/millstream-go/millstream => ../
