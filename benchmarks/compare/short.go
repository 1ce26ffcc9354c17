package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"runtime"
	"slices"
	"time"

	"github.com/millstream-go/millstream/benchmarks/scenario"
	"github.com/millstream-go/millstream/benchmarks/subject"
)

// claim is something that the README says about speed: that ours is ahead of theirs, by this factor.
type claim struct {
	scenario, theirs string
	ahead            float64
}

// named are the claims that are of interest beside those on the best library and the best by hand of each scenario.
var named = []claim{
	{scenario: "flow/3x4/any/noop", theirs: "rill"},
	{scenario: "flow/3x4/any/noop", theirs: "channels/timed"},
	{scenario: "flow/3x4/ordered/noop", theirs: "rill"},
	{scenario: "flow/3x4/any/1us", theirs: "loop"},
	{scenario: "map/noop", theirs: "conc/iter"},
	{scenario: "submit/noop", theirs: "conc/pool"},
	{scenario: "submit/noop", theirs: "ants"},
	{scenario: "submit/noop", theirs: "pond/result"},
	{scenario: "do/1/noop", theirs: "tunny"},
}

// claims are what the results say, of which the README shows the overview: where ours is twice as fast or more. Less
// than that cannot be told from noise in so short a time. Scenarios whose runs are long are left out.
func claims(rep *report) []claim {
	var all []claim
	add := func(s *scenarioResult, theirs string) {
		us, ok := s.of(subject.Name)
		them, found := s.of(theirs)
		c := claim{scenario: s.Name, theirs: theirs, ahead: them.NS / us.NS}
		if ok && found && c.ahead >= 2 && !slices.Contains(all, c) {
			all = append(all, c)
		}
	}
	for _, line := range overview {
		s, ok := rep.find(line.scenario)
		if !ok || (s.Work != "noop" && s.Work != "1us") {
			continue
		}
		for _, wanted := range []func(string) bool{library, byHand} {
			if r, found := s.best(wanted); found {
				add(s, r.Subject)
			}
		}
		for _, c := range named {
			if c.scenario == s.Name {
				add(s, c.theirs)
			}
		}
	}
	return all
}

// In the short mode a claim fails if ours is not ahead at all. How far ahead is another matter: the machine is one that
// others use at the same time, perhaps of another make, and what the others measure on it swings, above all where goroutines
// are woken: ants has taken from 1.3 to 3.2 times as long as ours within an hour. All claims together swing less, and they
// have to hold to this part.
const atLeast = 0.5

// enough claims for their median to say something.
const enough = 5

const (
	shortRounds   = 5
	shortenBy     = 4 // a quarter of the time for a round
	shortAttempts = 5 // a claim fails if it does in all of them: what disturbs a second is gone in the next
)

// runShort checks that all subjects do the work of all scenarios, and that the claims hold of the results in a file.
func runShort(match *regexp.Regexp, from string, stdout, stderr io.Writer) error {
	start := time.Now()
	runs, err := allDoTheWork(match)
	if runs == 0 {
		return errors.New("nothing matches -run")
	}
	say(stdout, "%d runs of all subjects on all scenarios: %s", runs, since(start))
	failed := []error{err}
	rep, err := load(from)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		say(stdout, "no %s, so nothing is claimed", from)
	case err != nil:
		failed = append(failed, err)
	case runtime.GOMAXPROCS(0) < rep.Host.Cores:
		say(stdout, "the claims are for %d processors, and here are %d: not checked", rep.Host.Cores, runtime.GOMAXPROCS(0))
	default:
		var parts []float64
		for _, c := range claims(rep) {
			if !match.MatchString(c.scenario + "/" + c.theirs) {
				continue
			}
			ratio, err := c.check(stdout)
			failed = append(failed, err)
			parts = append(parts, ratio/c.ahead)
		}
		failed = append(failed, together(parts, stdout))
	}
	say(stderr, "took %s", since(start))
	return errors.Join(failed...)
}

// allDoTheWork runs each subject once on a few inputs of each scenario, and returns how many runs that were.
func allDoTheWork(match *regexp.Regexp) (int, error) {
	runs := 0
	var failed []error
	for _, s := range scenario.All() {
		s = s.Scaled(10_000)
		n := 100
		switch {
		case s.Inputs > 0:
			n = s.Inputs
		case s.Work.Name == "sleep":
			n = 2
		}
		for _, sub := range subject.All() {
			if !s.Takes(sub) || !match.MatchString(s.Name()+"/"+sub.Name) {
				continue
			}
			_, err := s.Run(sub, n)
			failed = append(failed, err)
			runs++
		}
	}
	return runs, errors.Join(failed...)
}

// check measures the two beside each other, again as long as ours is not ahead, and returns by how much it is. It is an
// error if it never was, though nobody else used the processors: what has one of two processors for itself alone is no
// faster than a loop, and that says nothing.
func (c claim) check(stdout io.Writer) (float64, error) {
	var ratio float64
	quiet := false
	for range shortAttempts {
		before := scenario.Busy()
		var err error
		if ratio, err = c.measure(); err != nil {
			return 0, err
		}
		quiet = quiet || !before && !scenario.Busy()
		if ratio > 1 {
			say(stdout, "ok    %s: %s ahead of %s, said to be %.3g times", c.scenario, times(ratio), c.theirs, c.ahead)
			return ratio, nil
		}
	}
	if !quiet {
		say(stdout, "busy  %s: %s ahead of %s, said to be %.3g times, while others used the processors", c.scenario, times(ratio), c.theirs, c.ahead)
		return ratio, nil
	}
	err := fmt.Errorf("%s: %s ahead of %s, which is behind; it is said to be %.3g times ahead", c.scenario, times(ratio), c.theirs, c.ahead)
	say(stdout, "FAIL  %v", err)
	return ratio, err
}

// together is an error if of the claims, of which these are the parts that hold, the one in the middle holds too little.
func together(parts []float64, stdout io.Writer) error {
	if len(parts) < enough {
		return nil
	}
	m := median(parts)
	if m < atLeast {
		err := fmt.Errorf("the leads are %.2f of what they are said to be, in the middle: below %.2f", m, atLeast)
		say(stdout, "FAIL  %v", err)
		return err
	}
	say(stdout, "ok    the leads are %.2f of what they are said to be, in the middle", m)
	return nil
}

// measure returns the median of how many times as long theirs takes as ours, round by round.
func (c claim) measure() (float64, error) {
	s, field, err := c.field()
	if err != nil {
		return 0, err
	}
	var inputs [2]int
	for i, sub := range field {
		if inputs[i], err = s.Calibrate(sub, shortenBy); err != nil {
			return 0, err
		}
	}
	var ratios []float64
	for range shortRounds {
		var ns [2]float64
		for i, sub := range field {
			m, err := s.Run(sub, inputs[i])
			if err != nil {
				return 0, err
			}
			ns[i], _, _ = m.PerItem()
		}
		ratios = append(ratios, ns[1]/ns[0])
	}
	return median(ratios), nil
}

// field finds the scenario and the two subjects.
func (c claim) field() (scenario.Scenario, [2]subject.Subject, error) {
	var field [2]subject.Subject
	for _, sub := range subject.All() {
		switch sub.Name {
		case subject.Name:
			field[0] = sub
		case c.theirs:
			field[1] = sub
		}
	}
	for _, s := range scenario.All() {
		if s.Name() == c.scenario && s.Takes(field[0]) && s.Takes(field[1]) {
			return s, field, nil
		}
	}
	return scenario.Scenario{}, field, fmt.Errorf("no scenario %q for %s and %s", c.scenario, subject.Name, c.theirs)
}
