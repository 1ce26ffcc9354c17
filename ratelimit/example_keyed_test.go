package ratelimit_test

import (
	"fmt"

	"github.com/millstream-go/millstream/ratelimit"
)

func ExampleKeyed_Limit() {
	fmt.Println(ratelimit.NewKeyed[string](10, 5).Limit())
	// Output: 10
}

func ExampleKeyed_Burst() {
	fmt.Println(ratelimit.NewKeyed[string](10, 5).Burst())
	// Output: 5
}
