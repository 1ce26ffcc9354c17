package ratesim_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/millstream-go/millstream/ratelimit"
	"github.com/millstream-go/millstream/ratelimit/ratesim"
)

func ExampleRun() {
	strict := ratesim.Limit{Name: "deny", Limiter: ratelimit.NewLimiter(100, 20)}
	patient := ratesim.Limit{Name: "wait", Limiter: ratelimit.NewLimiter(100, 20), Patience: 200 * time.Millisecond}
	fmt.Print(ratesim.Run(2*time.Second, ratesim.Bursts(50, time.Second), strict, patient))
	// Output:
	// deny: 40 of 100 admitted (40.0 %), 60 denied
	//    from  offered  admitted  denied
	//      0s       50        20      30  ████████████████░░░░░░░░░░░░░░░░░░░░░░░░
	//   200ms        0         0       0
	//   400ms        0         0       0
	//   600ms        0         0       0
	//   800ms        0         0       0
	//      1s       50        20      30  ████████████████░░░░░░░░░░░░░░░░░░░░░░░░
	//    1.2s        0         0       0
	//    1.4s        0         0       0
	//    1.6s        0         0       0
	//    1.8s        0         0       0
	//
	// wait: 80 of 100 admitted (80.0 %), 20 denied, longest wait 200ms
	//    from  offered  admitted  denied  wait p50    max
	//      0s       50        40      10      10ms  200ms  ████████████████████████████████░░░░░░░░
	//   200ms        0         0       0        0s     0s
	//   400ms        0         0       0        0s     0s
	//   600ms        0         0       0        0s     0s
	//   800ms        0         0       0        0s     0s
	//      1s       50        40      10      10ms  200ms  ████████████████████████████████░░░░░░░░
	//    1.2s        0         0       0        0s     0s
	//    1.4s        0         0       0        0s     0s
	//    1.6s        0         0       0        0s     0s
	//    1.8s        0         0       0        0s     0s
}

func ExampleReport_WriteSVG() {
	limit, err := ratesim.ParseLimit("100/s burst 20")
	if err != nil {
		fmt.Println(err)
		return
	}
	var picture strings.Builder
	err = ratesim.Run(10*time.Second, ratesim.Steady(120), limit).WriteSVG(&picture)
	fmt.Println(strings.HasPrefix(picture.String(), "<svg "), err)
	// Output: true <nil>
}

func ExampleParseLimit() {
	limit, err := ratesim.ParseLimit("5000/h burst 50 wait 2s")
	fmt.Println(limit.Name, limit.Patience, err)
	_, err = ratesim.ParseLimit("100 per second")
	fmt.Println(err)
	// Output:
	// 5000/h burst 50 wait 2s 2s <nil>
	// ratesim: limit "100 per second": rate "100": want a number above 0 and a unit, such as 100/s
}

func ExampleParseTraffic() {
	traffic, err := ratesim.ParseTraffic("2 every 1s + 1/s from 500ms to 3s")
	if err != nil {
		fmt.Println(err)
		return
	}
	for a := range traffic {
		if a.At > 2*time.Second {
			break
		}
		fmt.Println(a.At, a.N)
	}
	// Output:
	// 0s 1
	// 0s 1
	// 500ms 1
	// 1s 1
	// 1s 1
	// 1.5s 1
	// 2s 1
	// 2s 1
}

func ExampleBursts() {
	for a := range ratesim.Bursts(2, time.Minute) {
		if a.At > time.Minute {
			break
		}
		fmt.Println(a.At)
	}
	// Output:
	// 0s
	// 0s
	// 1m0s
	// 1m0s
}

func ExampleSteady() {
	for a := range ratesim.Steady(4) {
		if a.At >= time.Second {
			break
		}
		fmt.Println(a.At)
	}
	// Output:
	// 0s
	// 250ms
	// 500ms
	// 750ms
}

func ExamplePoisson() {
	n := 0
	for a := range ratesim.Poisson(1000, 1) {
		if a.At >= 100*time.Second {
			break
		}
		n += a.N
	}
	fmt.Println(n > 99_000 && n < 101_000)
	// Output: true
}

func ExampleBetween() {
	for a := range ratesim.Between(time.Minute, time.Minute+time.Second, ratesim.Steady(2)) {
		fmt.Println(a.At)
	}
	// Output:
	// 1m0s
	// 1m0.5s
}

func ExampleTogether() {
	a, b := ratesim.Between(0, 2*time.Second, ratesim.Steady(1)), ratesim.Between(0, time.Second, ratesim.Steady(2))
	for a := range ratesim.Together(a, b) {
		fmt.Println(a.At)
	}
	// Output:
	// 0s
	// 0s
	// 500ms
	// 1s
}
