package ratesim

import (
	"fmt"
	"iter"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/millstream-go/millstream/ratelimit"
)

// ParseLimit parses the description of a limit, and makes a ratelimit.Limiter from
// it:
//
//	100/s               100 a second, and a burst of 1
//	100/s burst 20      a burst of 20
//	5000/h burst 50     units are s, m, h and d
//	1/250ms             one each 250 ms; any duration of package time
//	100/s wait 2s       requests wait for up to 2 s
//
// The text becomes the name of the limit.
func ParseLimit(text string) (Limit, error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return Limit{}, fmt.Errorf("ratesim: limit %q: want a rate, such as 100/s", text)
	}
	perSecond, err := parseRate(words[0])
	if err != nil {
		return Limit{}, fmt.Errorf("ratesim: limit %q: %w", text, err)
	}
	limit := Limit{Name: strings.Join(words, " ")}
	burst := 1
	given := map[string]bool{}
	for rest := words[1:]; len(rest) > 0; rest = rest[2:] {
		word := rest[0]
		if len(rest) < 2 || given[word] {
			return Limit{}, fmt.Errorf("ratesim: limit %q: want one value for %s", text, word)
		}
		given[word] = true
		switch word {
		case "burst":
			if burst, err = strconv.Atoi(rest[1]); err != nil || burst < 1 {
				return Limit{}, fmt.Errorf("ratesim: limit %q: burst %q: want 1 or more", text, rest[1])
			}
		case "wait":
			if limit.Patience, err = time.ParseDuration(rest[1]); err != nil || limit.Patience <= 0 {
				return Limit{}, fmt.Errorf("ratesim: limit %q: wait %q: want a duration above 0", text, rest[1])
			}
		default:
			return Limit{}, fmt.Errorf("ratesim: limit %q: want burst or wait, not %q", text, word)
		}
	}
	limit.Limiter = ratelimit.NewLimiter(ratelimit.Limit(perSecond), burst)
	return limit, nil
}

// ParseTraffic parses the description of traffic:
//
//	50 every 1s              50 at once, every second
//	80/s                     one after the other, evenly spaced
//	poisson 80/s             on average; poisson 80/s seed 7 draws another one
//	80/s from 2s to 5s       in this time only
//	30/s + 50 every 10s      both
//
// Rates are as in [ParseLimit].
func ParseTraffic(text string) (iter.Seq[Arrival], error) {
	var all []iter.Seq[Arrival]
	for part := range strings.SplitSeq(text, "+") {
		t, err := parsePart(strings.Fields(part))
		if err != nil {
			return nil, fmt.Errorf("ratesim: traffic %q: %w", text, err)
		}
		all = append(all, t)
	}
	if len(all) == 1 {
		return all[0], nil
	}
	return Together(all...), nil
}

func parsePart(words []string) (iter.Seq[Arrival], error) {
	traffic, words, err := parsePattern(words)
	if err != nil || len(words) == 0 {
		return traffic, err
	}
	if len(words) != 4 || words[0] != "from" || words[2] != "to" {
		return nil, fmt.Errorf("want from and to, not %q", strings.Join(words, " "))
	}
	from, err := time.ParseDuration(words[1])
	if err != nil || from < 0 {
		return nil, fmt.Errorf("from %q: want a duration, at least 0", words[1])
	}
	to, err := time.ParseDuration(words[3])
	if err != nil || to <= from {
		return nil, fmt.Errorf("to %q: want a duration above %v", words[3], from)
	}
	return Between(from, to, traffic), nil
}

// parsePattern parses the first words, and returns the others.
func parsePattern(words []string) (iter.Seq[Arrival], []string, error) {
	switch {
	case len(words) == 0:
		return nil, nil, fmt.Errorf("want 50 every 1s, 80/s or poisson 80/s")
	case words[0] == "poisson":
		if len(words) < 2 {
			return nil, nil, fmt.Errorf("poisson: want a rate")
		}
		perSecond, err := parseRate(words[1])
		if err != nil {
			return nil, nil, err
		}
		seed := uint64(1)
		words = words[2:]
		if len(words) >= 2 && words[0] == "seed" {
			if seed, err = strconv.ParseUint(words[1], 10, 64); err != nil {
				return nil, nil, fmt.Errorf("seed %q: want a number", words[1])
			}
			words = words[2:]
		}
		return Poisson(perSecond, seed), words, nil
	case len(words) >= 3 && words[1] == "every":
		n, err := strconv.Atoi(words[0])
		if err != nil || n < 1 {
			return nil, nil, fmt.Errorf("%q: want a number above 0", words[0])
		}
		every, err := time.ParseDuration(words[2])
		if err != nil || every <= 0 {
			return nil, nil, fmt.Errorf("every %q: want a duration above 0", words[2])
		}
		return Bursts(n, every), words[3:], nil
	}
	perSecond, err := parseRate(words[0])
	if err != nil {
		return nil, nil, err
	}
	return Steady(perSecond), words[1:], nil
}

// parseRate parses a rate such as 100/s, and returns the number per second.
func parseRate(text string) (float64, error) {
	count, unit, ok := strings.Cut(text, "/")
	n, err := strconv.ParseFloat(count, 64)
	if !ok || err != nil || !(n > 0) || math.IsInf(n, 0) {
		return 0, fmt.Errorf("rate %q: want a number above 0 and a unit, such as 100/s", text)
	}
	per, known := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[unit]
	if !known {
		if per, err = time.ParseDuration(unit); err != nil || per <= 0 {
			return 0, fmt.Errorf("rate %q: want s, m, h, d or a duration behind the slash", text)
		}
	}
	perSecond := n / per.Seconds()
	if perSecond > 1e9 {
		return 0, fmt.Errorf("rate %q: want at most 1e9 a second", text)
	}
	return perSecond, nil
}
