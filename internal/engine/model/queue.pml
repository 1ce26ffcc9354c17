/*
 * The hand-off queue of internal/engine, for spin. README.md says what stands for what.
 *
 * A step is one atomic block: whatever happens between two accesses to memory that somebody may
 * touch without the lock. So a section under the lock is one step, or several if it looks at the
 * flag or at a published count; the lock itself is mu.
 *
 * The numbers below are set with -D. BUG breaks the model in one place, see README.md; 0 leaves it
 * whole.
 */
#ifndef BUG        /* without it pan reads it from the environment, so that one binary does for all */
#define BUG bug
#define BUG_AT_RUN_TIME
byte bug;
#endif
#ifndef LIMIT
#define LIMIT 2    /* items in the ring */
#endif
#ifndef ITEMS0
#define ITEMS0 2   /* items of the first producer */
#endif
#ifndef ITEMS1
#define ITEMS1 1   /* items of the second producer */
#endif
#ifndef PUTTERS
#define PUTTERS 0  /* producers that call Put and TryPut: the last ones; the others have an outbox */
#endif
#ifndef CANCELS
#define CANCELS 0  /* waits of Put that may be given up */
#endif
#ifndef EARLY
#define EARLY 0    /* 1: Close comes at any time; outboxes are flushed before in any case */
#endif
#ifndef HOLDS
#define HOLDS 0    /* how often the queue is held for a while */
#endif
#ifndef SPARE
#define SPARE 0    /* 1: the takers are a crew, whose workers start when they are needed */
#endif
#ifndef TIMEOUTS
#define TIMEOUTS 0 /* waits of takers that may be given up */
#endif
#ifndef WINDOW
#define WINDOW 0   /* 0: the takers are no ordered stage */
#endif
#ifndef SLOW
#define SLOW (!WINDOW) /* a call may take as long as there is anything else to be done */
#endif

#define TAKERS 2
#define PRODUCERS 2
#define CHUNK 2          /* a taker's chunk; an outbox holds as many, or LIMIT */
#define BOX (LIMIT < CHUNK -> LIMIT : CHUNK)
#define RING (LIMIT + TAKERS * CHUNK)
#define EACH 4           /* items are numbered from EACH times the producer */
#define NOBODY 9
#define boxed(p) ((p) < PRODUCERS - PUTTERS)
#define items(p) ((p) == 0 -> ITEMS0 : ITEMS1)
#define bit(x) (1 << (x))

/* Queue. */
bool mu, hungry, closed, held, onTheWay;
byte ring[RING], size;
byte idle[TAKERS], idles;       /* a stack */
byte spare = (SPARE -> TAKERS : 0);
byte line[PRODUCERS], waiting;  /* blocked producers, first come first served */
byte seq;                       /* taken: the sequence number of the head */
byte passed;                    /* window.passed */
bool stalled;                   /* window.stalled */

/* Outboxes. What a release store has put into the processor's store buffer is in buffered until
   the owner's next atomic change; memory may take it over earlier. */
byte published[PRODUCERS], buffered[PRODUCERS], taken[PRODUCERS], used[PRODUCERS], before[PRODUCERS];
bool served[PRODUCERS], refused[PRODUCERS];

/* Takers: chunk[from:upto] is the span. */
byte chunk[TAKERS * CHUNK], from[TAKERS], upto[TAKERS];
bool loaded[TAKERS], parked[TAKERS], roused[TAKERS], handed[TAKERS];

/* Tokens in the wake channels: of takers, then of producers. */
byte token[TAKERS + PRODUCERS];

/* The crew. */
byte working = (SPARE -> 0 : TAKERS), hired;
bool over;

/* What only the properties look at. */
bool started[PRODUCERS * EACH];
byte startedOf[PRODUCERS], last[PRODUCERS], coming = ITEMS0 + ITEMS1, accepted, acceptedAtClose, ways, dones, produced;
bool slow;
byte place[PRODUCERS * EACH];   /* the sequence number of an item */
bool handled[PRODUCERS * EACH]; /* of the one with this sequence number */

/* Budgets. */
byte cancels = CANCELS, timeouts = TIMEOUTS;

/* What a section under mu reckons with; zero when mu is free. */
byte who, wakes, n, v, room;
bool left, came, got, plain, go, look;

/* A section under the lock is one step as far as it looks at nothing that others change without the
   lock. With a window it does in many places: then each statement is a step. */
#if WINDOW
#define piece skip;
#else
#define piece atomic
#endif

inline lock() { atomic { !mu -> mu = true; who = NOBODY } }

/* unlock notes in w whom this goroutine has to wake. */
inline unlock(w) {
	atomic {
		w = w | wakes;
		if
		:: who != NOBODY -> w = w | bit(who)
		:: else
		fi;
		who = 0; wakes = 0; n = 0; v = 0; room = 0;
		left = false; came = false; got = false; plain = false; go = false; look = false;
		mu = false
	}
}

/* A channel has room for one token: there must never be two. */
inline give(x) { assert(token[x] == 0); token[x] = 1 }

/* wake gives each of w a token. */
inline wake(w) {
	do
	:: d_step { w & bit(0) -> give(0); w = w & ~bit(0) }
	:: d_step { w & bit(1) -> give(1); w = w & ~bit(1) }
	:: d_step { w & bit(2) -> give(2); w = w & ~bit(2) }
	:: d_step { w & bit(3) -> give(3); w = w & ~bit(3) }
	:: w == 0 -> break
	od
}
inline receive(x) { atomic { token[x] == 1 -> token[x] = 0 } }

/* ring.push. */
inline push(x) {
	assert(size < LIMIT);
	assert(!closed);
	ring[size] = x; size++; accepted++
}

/* Queue.roomLocked and window.room: how far the window lets takers go. Three steps, for the ordered
   stage moves it under another lock. */
inline windowRoom() {
	if
	:: WINDOW == 0 -> room = CHUNK
	:: else ->
		room = passed + WINDOW - seq;
		if
		:: room == 0 && BUG != 14 -> stalled = true; room = passed + WINDOW - seq
		:: room == 0 && BUG == 14 -> room = passed + WINDOW - seq; stalled = true
		:: else
		fi
	fi
}

/* Queue.openLocked. */
inline open() {
	left = false;
	if
	:: atomic { held || size == 0 -> skip }
	:: else -> windowRoom(); left = (room > 0)
	fi
}

/* Queue.loosenedLocked; it adds to left. */
inline loosened() {
	atomic {
		if
		:: !left && !onTheWay && (idles > 0 || spare > 0) ->
			left = (loaded[0] && from[0] < upto[0] || loaded[1] && from[1] < upto[1])
		:: else
		fi
	}
}

/* Outbox.moveLocked; came says that something moved. */
inline move(b) {
	atomic {
		do
		:: taken[b] < published[b] && (size < LIMIT || BUG == 12 && size < RING) ->
			push(b * EACH + before[b] + taken[b]);
			taken[b]++; came = true
		:: else -> break
		od
	}
}

/* Queue.collectLocked, in a step for each outbox. */
inline collect0() {
	came = false;
	if
	:: boxed(0) -> move(0)
	:: else
	fi
}
inline collect1() {
	if
	:: boxed(1) -> move(1)
	:: else
	fi
}

/* Queue.serveLocked. */
inline serve() {
	served[line[0]] = true;
	wakes = wakes | bit(TAKERS + line[0]);
	line[0] = line[1]; line[1] = 0; waiting--
}

/* Queue.refillLocked, where no ordered stage feeds the queue. Those in line publish nothing meanwhile. */
inline refill() {
	atomic {
		do
		:: BUG != 11 && waiting > 0 && size < LIMIT ->
			v = line[0]; /* not read again after serve */
			move(v);
			if
			:: taken[v] == used[v] -> serve()
			:: else
			fi
		:: else -> break
		od
	}
}

/* The ring's head goes to taker t. */
inline shift(t, at) {
	assert(!held);
	assert(ring[0] >= last[ring[0] / EACH]); /* of one producer, in order */
	last[ring[0] / EACH] = ring[0];
	chunk[t * CHUNK + at] = ring[0];
	place[ring[0]] = (WINDOW -> seq : 0);
	seq = (WINDOW -> seq + 1 : 0);
	v = 1;
	do
	:: v < size -> ring[v - 1] = ring[v]; v++
	:: else -> break
	od;
	size--; ring[size] = 0; v = 0
}

/* Taker.holdLocked. */
inline hold(t, count) {
	from[t] = 0; upto[t] = count;
	loaded[t] = (count > 1)
}

/* Taker.takeLocked: as many as the pace lets through, which may be any number. */
inline take(t, most) {
	got = false;
	if
	:: atomic { held || size == 0 -> skip }
	:: else ->
		windowRoom();
		atomic {
			n = 1;
			if
			:: most > 1 && size > 1 && room > 1 -> n = 2
			:: true
			fi;
			if
			:: room > 0 ->
				assert(from[t] >= upto[t]); /* what it had is done with */
				shift(t, 0);
				if
				:: n > 1 -> shift(t, 1)
				:: else
				fi;
				hold(t, n);
				got = true
			:: else
			fi
		}
	fi
}

/* Taker.stealLocked. With two takers there is one victim. */
inline steal(t) {
	atomic {
		if
		:: !held && loaded[1 - t] && from[1 - t] < upto[1 - t] ->
			n = (upto[1 - t] - from[1 - t] + 1) / 2;
			v = upto[1 - t] - n;
			if
			:: BUG != 10 -> upto[1 - t] = v
			:: else
			fi;
			chunk[t * CHUNK] = chunk[(1 - t) * CHUNK + v];
			if
			:: n > 1 -> chunk[t * CHUNK + 1] = chunk[(1 - t) * CHUNK + v + 1]
			:: else
			fi;
			hold(t, n);
			got = true
		:: else
		fi
	};
	/* The owner claims between the look and the change, if the two are not one. */
	atomic {
		if
		:: BUG == 10 && got -> upto[1 - t] = v
		:: else
		fi
	}
}

/* Queue.recallLateLocked: whether the other one is late is anybody's guess. In an ordered stage it is not done. */
inline recall(t) {
	atomic {
		if
		:: !WINDOW && size > 0 && loaded[1 - t] && from[1 - t] < upto[1 - t] ->
			do
			:: from[1 - t] < upto[1 - t] ->
				upto[1 - t]--;
				v = size;
				do
				:: v > 0 -> ring[v] = ring[v - 1]; v--
				:: else -> break
				od;
				ring[0] = chunk[(1 - t) * CHUNK + upto[1 - t]]; size++;
				last[ring[0] / EACH] = ring[0]
			:: else -> break
			od
		:: true
		fi
	}
}

/* Queue.plainLocked. */
inline isPlain() {
	plain = false;
	if
	:: atomic { (closed && BUG != 5) || held || (waiting > 0 && BUG != 7) -> skip }
	:: else ->
		windowRoom();
		atomic {
			if
			:: room == 0 -> skip
			:: room > 0 && idles == 0 && spare == 0 -> hungry = false; plain = true
			:: else -> plain = hungry || BUG == 8
			fi
		}
	fi
}

inline popIdle() { idles--; who = idle[idles]; idle[idles] = 0; parked[who] = false }
inline pushIdle(t) { idle[idles] = t; idles++; parked[t] = true }

/* The end of balanceLocked, and handLocked. */
inline pick() {
	got = false;
	if
	:: atomic { idles == 0 -> spare--; who = hired; hired++; working++ }
	:: else ->
		popIdle();
		if
		:: size == 1 ->
			isPlain();
			if
			:: plain -> take(who, 1)
			:: else
			fi
		:: else
		fi
	fi;
	atomic {
		if
		:: got -> handed[who] = true
		:: else ->
			hungry = false; onTheWay = true; roused[who] = true;
			ways++; assert(ways == 1)
		fi
	}
}

/* Queue.balanceLocked(l): who becomes the taker to rouse, or NOBODY. */
inline balance(l) {
	atomic {
		who = NOBODY; go = false; look = false;
		if
		:: onTheWay && BUG != 13
		:: !(onTheWay && BUG != 13) && idles == 0 && spare == 0 -> hungry = false
		:: else ->
			if
			:: l -> go = true
			:: !(l) && !hungry -> look = true; hungry = (BUG != 1)
			:: else
			fi
		fi
	};
	if
	:: atomic { look -> collect0() };
		atomic { collect1(); go = came; hungry = true }
	:: else
	fi;
	if
	:: go && !held ->
		piece {
			if
			:: loaded[0] || loaded[1]
			:: else -> open(); go = left
			fi;
			if
			:: go -> pick()
			:: else
			fi
		}
	:: else
	fi
}

/* Queue.dismissLocked. */
inline dismiss() {
	do
	:: idles > 0 ->
		idles--;
		wakes = wakes | bit(idle[idles]);
		parked[idle[idles]] = false;
		idle[idles] = 0
	:: else -> break
	od
}

/* What was laid becomes visible. */
inline commit(b) {
	if
	:: buffered[b] > 0 -> published[b] = buffered[b]; buffered[b] = 0
	:: else
	fi
}

/* Queue.handOverLocked. */
inline handOver(b) {
	if
	:: atomic { idles == 0 || onTheWay || taken[b] > 0 || size > 0 -> skip }
	:: else ->
		popIdle();
		isPlain();
		atomic {
			if
			:: plain ->
				assert(from[who] >= upto[who]);
				push(b * EACH + before[b]);
				shift(who, 0);
				hold(who, 1);
				handed[who] = true;
				published[b] = 0; used[b] = 0; before[b]++
			:: else -> pushIdle(who); who = NOBODY
			fi
		}
	fi
}

/* Outbox.Flush of what is not empty, if now. Taking the lock is an atomic change. */
inline flush(b, w) {
	if
	:: now ->
		piece { lock(); commit(b); now = false;
			if
			:: used[b] == 1 -> handOver(b)
			:: else
			fi;
			if
			:: who == NOBODY -> published[b] = used[b]; move(b)
			:: else
			fi
		};
		if
		:: atomic { who == NOBODY && taken[b] < used[b] ->
			served[b] = false; line[waiting] = b; waiting++ };
			balance(true);
			unlock(w);
			wake(w);
			receive(TAKERS + b);
			lock()
		:: else
		fi;
		if
		:: atomic { who == NOBODY ->
			before[b] = before[b] + used[b]; used[b] = 0; taken[b] = 0; published[b] = 0; left = (size > 0) };
			balance(left)
		:: else
		fi;
		unlock(w);
		wake(w)
	:: else
	fi
}

/* The processor takes over what was laid, sooner or later. */
active proctype Memory() {
endless:
	do
	:: atomic { buffered[0] > 0 -> commit(0) }
	:: atomic { buffered[1] > 0 -> commit(1) }
	od
}

/* A producer with an outbox: each item by Put, or by Lay and Look; in between a call that may take
   until the takers have come to all that it has put. */
proctype Boxer(byte p) {
	byte w;
	bool now; /* flush */
	do
	:: atomic { before[p] == items(p) -> break }
	:: atomic { before[p] < items(p) && before[p] + used[p] == items(p) -> now = true }; flush(p, w)
	:: before[p] + used[p] < items(p) ->
		if
		:: atomic { used[p] + 1 == BOX -> used[p]++; buffered[p] = 0; now = true }
		:: used[p] + 1 < BOX && BUG != 2 -> /* Put */
			atomic { used[p]++; buffered[p] = 0; published[p] = used[p] };
			now = hungry
		:: used[p] + 1 < BOX && BUG == 2 ->
			now = hungry;
			atomic { used[p]++; buffered[p] = 0; published[p] = used[p] }
		:: used[p] + 1 < BOX -> /* Lay */
			atomic { used[p]++; buffered[p] = used[p] };
			if
			:: BUG != 3 -> atomic { commit(p) } /* an atomic change, such as Claim */
			:: else
			fi;
			now = (hungry && BUG != 4) /* Look */
		fi;
		flush(p, w);
		if
		:: SLOW -> startedOf[p] == before[p] + used[p]
		:: true
		fi
	od;
	produced++
}

/* A producer that calls Put or TryPut. */
proctype Putter(byte p) {
	byte w;
	bool shut;
	do
	:: before[p] == items(p) -> break
	:: else ->
		if
		:: BUG == 9 -> shut = closed
		:: else
		fi;
		lock();
		if
		:: (BUG != 9 && closed) || (BUG == 9 && shut) -> unlock(w); atomic { coming--; before[p]++ }
		:: !closed && size >= LIMIT -> /* TryPut */
			unlock(w); atomic { coming--; before[p]++ }
		:: !closed && size >= LIMIT ->
			atomic { used[p] = 1; published[p] = 1; served[p] = false; line[waiting] = p; waiting++ };
			unlock(w);
			if
			:: receive(TAKERS + p)
			:: atomic { cancels > 0 -> cancels-- };
				lock();
				if
				:: !served[p] ->
					atomic {
						if
						:: line[0] == p -> line[0] = line[1]
						:: else
						fi;
						line[1] = 0; waiting--;
						refused[p] = true
					};
					unlock(w)
				:: else -> unlock(w); receive(TAKERS + p)
				fi
			fi;
			atomic {
				if
				:: refused[p] -> coming--
				:: else
				fi;
				refused[p] = false; used[p] = 0; published[p] = 0; taken[p] = 0; before[p]++
			}
		:: else ->
			piece { push(p * EACH + before[p]); before[p]++; open() };
			balance(left);
			unlock(w);
			wake(w)
		fi
	od;
	produced++
}

/* Crew.leave. */
inline leaveCrew(ended) {
	atomic {
		!mu ->
		working = working - ended;
		if
		:: working == 0 && closed && size == 0 && !over -> over = true; dones++
		:: else
		fi
	}
}

/* Taker.Next and what its owner does with the chunk. */
proctype Taker(byte t) {
	byte w, at;
	if
	:: SPARE -> endless: receive(t)
	:: else
	fi;
begin:
	atomic { lock(); loaded[t] = false };
again:
	piece {
		atomic {
			if
			:: roused[t] -> roused[t] = false; onTheWay = false; ways--
			:: else
			fi
		};
		recall(t);
		take(t, CHUNK)
	};
	if
	:: atomic { !got && !hungry -> collect0() };
		atomic { collect1() };
		if
		:: came -> piece { skip; take(t, CHUNK) }
		:: else
		fi
	:: else
	fi;
	if
	:: !got -> steal(t)
	:: else
	fi;
	if
	:: got -> /* Taker.leave */
		piece {
			refill();
			if
			:: loaded[t] -> left = true
			:: else -> open(); loosened()
			fi
		};
		if
		:: BUG != 6 -> balance(left)
		:: else
		fi;
		atomic {
			if
			:: closed && size == 0 && BUG != 15 -> dismiss()
			:: else
			fi;
			unlock(w)
		};
		wake(w);
		goto work
	:: atomic { closed && size == 0 && !got -> unlock(w) }; goto home
	:: else
	fi;
	atomic { pushIdle(t) };
	balance(false);
	if
	:: atomic { who == t && handed[t] && BUG != 16 -> who = NOBODY; handed[t] = false; unlock(w) }; goto work
	:: atomic { who == t && !(handed[t] && BUG != 16) -> who = NOBODY }; goto again
	:: atomic { who != t -> unlock(w) }
	fi;
	wake(w);
	if
	:: receive(t)
	:: atomic { timeouts > 0 -> timeouts-- };
		lock();
		if
		:: parked[t] ->
			atomic {
				if
				:: idle[0] == t -> idle[0] = idle[1]
				:: else
				fi;
				idle[1] = 0; idles--; parked[t] = false
			};
			unlock(w);
			goto begin
		:: else -> unlock(w); receive(t)
		fi
	fi;
	if
	:: atomic { handed[t] -> handed[t] = false }; goto work
	:: else
	fi;
	lock();
	goto again;

work:
	do
	:: atomic { /* Claim */
			from[t] < upto[t] ->
			at = chunk[t * CHUNK + from[t]];
			from[t]++;
			assert(!started[at]);
			started[at] = true;
			startedOf[at / EACH]++
		};
		if /* the call */
		:: atomic { SLOW && !slow -> slow = true };
			atomic { startedOf[0] + startedOf[1] == coming -> slow = false }
		:: true
		fi;
		atomic { handled[place[at]] = (WINDOW > 0); at = 0 }
	:: atomic { from[t] >= upto[t] -> from[t] = 0; upto[t] = 0 }; break
	od;
	goto begin;

home:
	leaveCrew(1)
}

/* Crew.Close. */
proctype Closer() {
	byte w;
	if
	:: EARLY -> produced >= PRODUCERS - PUTTERS
	:: else -> produced == PRODUCERS
	fi;
	lock();
	atomic {
		closed = true;
		acceptedAtClose = accepted;
		do
		:: waiting > 0 -> refused[line[0]] = true; serve()
		:: else -> break
		od;
		if
		:: BUG != 17 -> dismiss()
		:: else
		fi
	};
	unlock(w);
	wake(w);
	leaveCrew(0)
}

/* Queue.Hold(true), and later Hold(false). */
proctype Holder() {
	byte w;
	do
	:: true ->
		piece {
			lock();
			held = !held;
			open();
			if
			:: BUG != 18 -> loosened()
			:: else
			fi
		};
		balance(left);
		unlock(w);
		wake(w);
		if
		:: !held -> break
		:: else
		fi
	od
}

/* The ordered stage behind the queue: what is done passes on in order, and lets the takers go on. */
proctype Passer() {
	byte w;
endless:
	do
	:: handled[passed] ->
		passed++;
		if
		:: atomic { stalled -> skip };
			stalled = false;
			lock(); /* window.reopen */
			open();
			balance(left);
			unlock(w);
			wake(w)
		:: else
		fi
	od
}

init {
	atomic {
#ifdef BUG_AT_RUN_TIME
		c_code { const char *s = getenv("BUG"); now.bug = s ? atoi(s) : 0; };
#endif
		run Taker(0); run Taker(1);
		if
		:: boxed(0) -> run Boxer(0)
		:: else -> run Putter(0)
		fi;
		if
		:: boxed(1) -> run Boxer(1)
		:: else -> run Putter(1)
		fi;
		run Closer();
		if
		:: WINDOW -> run Passer()
		:: else
		fi;
		if
		:: HOLDS -> run Holder()
		:: else
		fi;
		hungry = (SPARE == 1) /* NewCrew */
	};
	dones > 0 && produced == PRODUCERS;
	assert(dones == 1 && size == 0);
	assert(startedOf[0] + startedOf[1] == coming && accepted == coming)
}
