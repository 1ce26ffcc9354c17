module github.com/millstream-go/millstream/internal/engine/linear

go 1.26.0

require (
	github.com/anishathalye/porcupine v1.3.1
	github.com/millstream-go/millstream v0.0.0
	github.com/stretchr/testify v1.12.1
)

require (
	github.com/sourcegraph/conc v0.3.0 // indirect
	go.yaml.in/yaml/v3 v3.0.6 // indirect
)

replace github.com/millstream-go/millstream => ../../../
