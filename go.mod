module github.com/millstream-go/millstream

go 1.26

require (
	github.com/sourcegraph/conc v0.3.0
	github.com/stretchr/testify v1.12.1
)

require go.yaml.in/yaml/v3 v3.0.6 // indirect
