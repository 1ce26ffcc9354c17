package main

import (
	"errors"
	"io"
	"regexp"
	"time"

	"github.com/millstream-go/millstream/benchmarks/scenario"
	"github.com/millstream-go/millstream/benchmarks/subject"
)

// bench measures subjects on scenarios.
type bench struct {
	match   *regexp.Regexp // scenario/subject
	rounds  int
	shorten int // rounds last only this part of the time
	log     io.Writer
}

func allScenarios() []scenario.Scenario { return scenario.All() }

// run returns what it could measure, and what went wrong. A subject that fails has no row.
func (b bench) run(scenarios []scenario.Scenario) (*report, error) {
	rep := &report{Host: describeHost(), Date: time.Now().UTC().Format("2006-01-02"), Rounds: b.rounds}
	var failed []error
	start := time.Now()
	for i, s := range scenarios {
		row, err := b.scenario(s)
		failed = append(failed, err)
		if row == nil {
			continue
		}
		rep.Scenarios = append(rep.Scenarios, *row)
		say(b.log, "%3d/%d %8s %s", i+1, len(scenarios), since(start), s.Name())
	}
	rep.Took = time.Since(start).Round(time.Second).String()
	return rep, errors.Join(failed...)
}

// contender is a subject on its way through the rounds of a scenario.
type contender struct {
	subject.Subject
	inputs int
	samples
}

// scenario measures all subjects that take it and match, or returns nil if there are none.
func (b bench) scenario(s scenario.Scenario) (*scenarioResult, error) {
	var failed []error
	var field []*contender
	for _, sub := range subject.All() {
		if !s.Takes(sub) || !b.match.MatchString(s.Name()+"/"+sub.Name) {
			continue
		}
		n, err := s.Calibrate(sub, b.shorten)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		field = append(field, &contender{Subject: sub, inputs: n})
	}
	if len(field) == 0 {
		return nil, errors.Join(failed...)
	}
	rounds := s.Rounds(b.rounds)
	for round := range rounds {
		for i := range field {
			c := field[(i+round)%len(field)]
			if c.inputs == 0 {
				continue // it has failed before
			}
			m, err := s.Run(c.Subject, c.inputs)
			if err != nil {
				failed = append(failed, err)
				c.inputs = 0
				continue
			}
			c.add(m)
		}
	}
	result := &scenarioResult{
		Name: s.Name(), Title: s.Title(), Form: string(s.Form), Work: s.Work.Name,
		Stages: s.Stages, Workers: s.Workers, Callers: s.Callers, Ordered: s.Ordered, Rounds: rounds,
	}
	for _, c := range field {
		if c.inputs == 0 {
			continue
		}
		seen, err := s.Observe(c.Subject, c.inputs)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		result.Rows = append(result.Rows, c.row(seen))
	}
	result.sort()
	return result, errors.Join(failed...)
}
