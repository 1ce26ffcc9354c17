package main

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMeasure(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want measured
	}{
		"first":  {first, measured{lines: 20, functions: 3, longest: function{"(*T).Long", 7, "x.go", 12}}},
		"second": {second, measured{lines: 12, functions: 2, longest: function{"Five", 5, "x.go", 8}}},
		"no functions": {
			"package a\n\nvar f = func() {\n}\n",
			measured{lines: 4},
		},
		"one line, no newline": {"package a", measured{lines: 1}},
		"carriage returns":     {"package a\r\nfunc F() {\r\n}\r\n", measured{lines: 3, functions: 1, longest: function{"F", 2, "x.go", 2}}},
		"the first of equals": {
			"package a\nfunc F() {}\nfunc G() {}\n",
			measured{lines: 3, functions: 2, longest: function{"F", 1, "x.go", 2}},
		},
		"odd receivers": {
			"package a\nfunc (((*T[K, V]))) M() {\n}\n",
			measured{lines: 3, functions: 1, longest: function{"(*T).M", 2, "x.go", 2}},
		},
		"value receiver": {
			"package a\nfunc (T[K]) M() {\n}\n",
			measured{lines: 3, functions: 1, longest: function{"T.M", 2, "x.go", 2}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := parse(t.Context(), source{"x.go", []byte(tt.text)})
			require.NoError(t, err)
			got, err := measure(t.Context(), s)
			require.NoError(t, err)
			tt.want.path = "x.go"
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestAggregateByPackage(t *testing.T) {
	s := surveyed(t, sampleTree())
	for _, row := range s.packages {
		assert.Positive(t, row.Run, row.Path)
	}
	assert.Equal(t, packages{
		"a":      {Path: "a", counts: counts{2, 32, 5, function{"(*T).Long", 7, "a/first.go", 12}}},
		"a/deep": {Path: "a/deep", counts: counts{1, 3, 1, function{"main", 1, "a/deep/main.go", 3}}},
	}, untimed(s.packages))
	assert.Equal(t, counts{3, 35, 6, function{"(*T).Long", 7, "a/first.go", 12}}, s.packages.total().counts)

	rows := s.packages.byLines()
	assert.Equal(t, []string{"a", "a/deep"}, []string{rows[0].Path, rows[1].Path})
}

// Files come in any order; of functions with as many lines the same one must win.
func TestLongestDoesNotDependOnOrder(t *testing.T) {
	a, b := function{"A", 3, "p/a.go", 9}, function{"B", 3, "p/b.go", 1}
	assert.Equal(t, a, longer(a, b))
	assert.Equal(t, a, longer(b, a))
	assert.Equal(t, a, longer(function{}, a))
	assert.Equal(t, a, longer(a, function{}))
	early := function{"A", 3, "p/a.go", 2}
	assert.Equal(t, early, longer(a, early))
	assert.Equal(t, early, longer(early, a))
}

func TestPackagesOfTheRootFolder(t *testing.T) {
	s := surveyed(t, fstest.MapFS{"a.go": file("package a\n")})
	assert.Contains(t, s.packages, ".")
}
