package pipeline

import (
	"fmt"
	"slices"
	"strings"

	"github.com/millstream-go/millstream/result"
)

// Verdict says in a few plain sentences, on one line, what the figures tell about the speed
// of the run: which stage holds it back, as [Snapshot.Bottleneck] returns it, which figures
// show that, and what may help if the figures show that too; or that no stage is to blame.
// Stages with the same name are told apart by their order. The wording may change; programs
// should call Bottleneck.
func (s Snapshot) Verdict() string {
	v := surveyOf(s)
	c, why := v.blame()
	switch why {
	case tooBusy:
		return v.accuse(c)
	case wedged:
		return v.accuseWedge(c)
	default:
		return v.acquit()
	}
}

// accuse describes a crew that is busy.
func (v *survey) accuse(c int) string {
	top := v.crews[c].top
	if like := v.alike(c); len(like) > 0 {
		return v.accuseAll(append([]int{c}, like...))
	}
	holds := " holds the run back"
	if v.crews[c].used < clearly {
		holds += " most"
	}
	reason := v.reason(c) + v.doubt(c)
	if w := v.witnesses(top); w != "" {
		reason += ", while " + w
	}
	return v.subject(top) + holds + ": " + reason + "." + v.hint(c)
}

// accuseAll describes several crews that are about equally busy, the busiest first.
func (v *survey) accuseAll(crews []int) string {
	const most = 3
	var names []string
	how := "busy"
	least, limits := 1.0, false
	for i, c := range crews {
		if i < most {
			names = append(names, v.name(v.crews[c].top))
		}
		if v.limited(c) {
			how, limits = "busy, or waited for a limit,", true
		}
		least = min(least, v.crews[c].used)
	}
	if more := len(crews) - most; more > 0 {
		names = append(names, count(more, "other"))
	}
	do := "do"
	if len(crews) == 2 {
		do = "does"
	}
	share := inWords(v.crews[crews[0]].used)
	if low := inWords(least); low != share {
		share = low + " to " + share
	}
	text := fmt.Sprintf("%s holds the run back, and so %s %s: they were %s %s of the time.",
		names[0], do, listed(names[1:]), how, share)
	switch {
	case least < clearly: // perhaps they are busy in turn: what would help is not known
		return text
	case limits:
		return text + " Each of them must get faster for the run to."
	default:
		return text + " The processors may be what is short: more workers help only if there are some to spare."
	}
}

// alike returns the other crews that are about as busy as c, the busiest first.
func (v *survey) alike(c int) []int {
	var like []int
	for other, crew := range v.crews {
		if other != c && crew.used > max(mostly, v.crews[c].used-alike) && !v.alone(other) {
			like = append(like, other)
		}
	}
	slices.SortStableFunc(like, func(a, b int) int {
		switch {
		case v.busier(a, b):
			return -1
		case v.busier(b, a):
			return 1
		default:
			return 0
		}
	})
	return like
}

// accuseWedge describes a crew that is not busy, though others wait for it.
func (v *survey) accuseWedge(c int) string {
	top := v.crews[c].top
	st := v.stages[top]
	text := fmt.Sprintf("%s holds the run back, though it was busy only %s of the time: %s.",
		v.subject(top), inWords(v.crews[c].used), v.witnesses(top))
	if st.Copies > 1 {
		return text + fmt.Sprintf(" One of its %s lanes may get most of the items.", grouped(uint64(st.Copies)))
	}
	calls := ""
	if uneven(st.Run) {
		calls = fmt.Sprintf(" (calls took %s at most, half of them %s)", threeDigits(st.Run.Max), threeDigits(st.Run.P50))
	}
	switch {
	case st.Ordered:
		return text + " It is ordered, and a slow call keeps those behind it waiting" + calls +
			": a window larger than " + grouped(uint64(max(st.Window, 0))) + " may help."
	case calls != "":
		return text + " Some calls take far longer than others" + calls + "."
	default:
		return text
	}
}

// uneven reports whether some calls take far longer than most.
func uneven(q result.Quantiles) bool { return q.P50 > 0 && q.Max/10 >= q.P50 }

// acquit says that no stage is to blame, and why if that is known.
func (v *survey) acquit() string {
	if len(v.stages) == 0 {
		return "There is nothing to judge: no stages."
	}
	if len(v.crews) == 0 {
		return "There is nothing to judge: no time has passed."
	}
	text := "No stage was busy more than half of the time"
	var sources []int
	for i, st := range v.stages {
		if v.crew[i] >= 0 && len(st.From) == 0 {
			sources = append(sources, i)
		}
	}
	if i, starved := v.mostStarved(sources); starved > mostly {
		return fmt.Sprintf("%s: the %s had nothing to give for %s of it.", text, v.source(i), inWords(starved))
	}
	c := v.busiest(nil)
	if v.crews[c].used == 0 {
		return "No stage was busy at all."
	}
	return fmt.Sprintf("%s; the busiest was %s with %s.", text, v.name(v.crews[c].top), inWords(v.crews[c].used))
}

// reason says what kept c busy.
func (v *survey) reason(c int) string {
	crew := v.crews[c]
	st := v.stages[crew.top]
	who, was := "it", "was"
	switch lanes := max(st.Copies, 1); {
	case st.Workers > 1 && lanes > 1:
		who, was = fmt.Sprintf("the %s in each of its %s", count(st.Workers, "worker"), count(lanes, "lane")), "were"
	case st.Workers > 1:
		who, was = "its "+count(st.Workers, "worker"), "were"
	case st.Workers == 1 && lanes == 1:
		who = "its only worker"
	case lanes > 1:
		who, was = "its "+count(lanes, "lane"), "were"
	}
	if v.limited(c) {
		text := who + " waited " + inWords(st.Limited) + " of the time for its limit"
		if st.Busy > 0 {
			text += " and " + was + " busy " + inWords(st.Busy)
		}
		return text
	}
	if others := v.others(c); len(others) > 0 {
		var names []string
		for _, i := range others {
			names = append(names, v.name(i))
		}
		return fmt.Sprintf("its goroutine was busy %s of the time, %s in it and the rest in %s",
			inWords(crew.used), inWords(used(st)), listed(names))
	}
	if len(st.From) == 0 {
		return "its sequence took " + inWords(used(st)) + " of the time"
	}
	text := who + " " + was + " busy " + inWords(st.Busy) + " of the time"
	if st.Limited > alike {
		text += " and waited " + inWords(st.Limited) + " for its limit"
	}
	return text
}

// limited reports whether c waits for a limit more than it works.
func (v *survey) limited(c int) bool {
	st := v.stages[v.crews[c].top]
	return st.Limited > st.Busy
}

// others returns the stages of c, besides the top one, that take a good part of its time.
func (v *survey) others(c int) []int {
	var others []int
	for _, i := range v.crews[c].stages {
		if i != v.crews[c].top && used(v.stages[i]) > alike {
			others = append(others, i)
		}
	}
	return others
}

// doubt says what c itself waits for, if that takes a good part of its time.
func (v *survey) doubt(c int) string {
	switch crew := v.crews[c]; {
	case crew.used >= clearly || max(crew.blocked, crew.starved) < noticeable:
		return ""
	case crew.blocked > crew.starved:
		return " (and blocked " + inWords(crew.blocked) + ")"
	default:
		return " (and starved " + inWords(crew.starved) + ")"
	}
}

// witnesses says how the stages around a stage wait for it.
func (v *survey) witnesses(stage int) string {
	var parts []string
	if i, share := v.mostBlocked(v.before(stage)); share >= noticeable {
		parts = append(parts, v.name(i)+" before it was blocked "+inWords(share))
	}
	if i, share := v.mostStarved(v.behind(stage)); share >= noticeable {
		parts = append(parts, v.name(i)+" behind it starved "+inWords(share))
	}
	return listed(parts)
}

// takesWorkers are the kinds of stages that can have workers.
var takesWorkers = map[string]bool{"map": true, "flatmap": true, "filter": true, "tap": true, "foreach": true}

// hint says what may help, after a space, or returns "".
func (v *survey) hint(c int) string {
	top := v.crews[c].top
	st := v.stages[top]
	if v.limited(c) {
		// It may find its own height, as an adaptive one does: then nobody can raise it.
		return " The limit sets the pace: more workers would not help."
	}
	if st.Workers > 0 {
		switch {
		case st.MaxWorkers == 0:
			return " More workers may help."
		case st.Workers >= st.MaxWorkers:
			return " It has as many workers as Auto may give it: a higher maximum may help."
		case st.Choice != "":
			return fmt.Sprintf(" Auto may give it up to %s (%s).", count(st.MaxWorkers, "worker"), oneLine(st.Choice))
		default:
			return fmt.Sprintf(" Auto may give it up to %s.", count(st.MaxWorkers, "worker"))
		}
	}
	if others := v.others(c); len(others) > 0 {
		best := -1
		for _, i := range append([]int{top}, others...) {
			if takesWorkers[v.stages[i].Kind] && (best < 0 || used(v.stages[i]) > used(v.stages[best])) {
				best = i
			}
		}
		if best >= 0 {
			return " Workers would take " + v.name(best) + " off this goroutine."
		}
		return " A Buffer between them would let them run at the same time."
	}
	switch {
	case st.Copies > 1:
		return " More lanes may help."
	case takesWorkers[st.Kind]:
		return " Workers of its own may help."
	case len(st.From) == 0:
		return " Only a faster source would help."
	case loops[st.Kind] != "":
		return " It may help to do less there, and more in stages with workers."
	default:
		return ""
	}
}

// loops are the kinds of terminals whose time is spent in the caller's loop.
var loops = map[string]string{"all": "All", "results": "Results"}

// subject returns the beginning of a sentence about a stage.
func (v *survey) subject(stage int) string {
	st := v.stages[stage]
	switch {
	case len(st.From) == 0:
		return "The " + v.source(stage)
	case loops[st.Kind] != "":
		return "The body of the loop over " + loops[st.Kind]
	default:
		return v.name(stage)
	}
}

// source returns what a source is called in a sentence, without its name if that is the
// default.
func (v *survey) source(stage int) string {
	if name := v.name(stage); name != "from" {
		return "source " + name
	}
	return "source"
}

// name returns the name of a stage, with its position among those with the same name if
// there are several.
func (v *survey) name(stage int) string {
	const widest = 40
	st := v.stages[stage]
	name, place, total := clipped(oneLine(st.Name), widest), 0, 0
	if name == "" {
		name = "a stage without a name"
	}
	for i, other := range v.stages {
		if other.Name == st.Name {
			total++
			if i <= stage {
				place++
			}
		}
	}
	if total == 1 {
		return name
	}
	return fmt.Sprintf("%s (%s of %s)", name, ordinal(place), grouped(uint64(total)))
}

// listed joins parts with commas and a final "and".
func listed(parts []string) string {
	if len(parts) < 2 {
		return strings.Join(parts, "")
	}
	last := len(parts) - 1
	return strings.Join(parts[:last], ", ") + " and " + parts[last]
}
