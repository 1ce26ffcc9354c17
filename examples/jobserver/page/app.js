// The page: it follows the event stream and draws what it knows, at most once for each frame. Text from
// the server goes into the document by textContent alone.
"use strict";

const shown = 100; // jobs in the table
const kept = 1000; // jobs in memory
const bars = 60; // of a chart

const $ = (id) => document.getElementById(id);
const jobs = new Map(); // by number
const times = []; // of the jobs that ended last: {wait, run, status}
let state = null; // the last snapshot
let dirty = false;
let refetch = 0; // a timer
let fresh = false; // the stream has just been opened

// A job's answer and its events may come in any order; its status goes one way.
const rank = (job) => ["queued", "running"].indexOf(job.status) + 1 || 3;
const ended = (job) => !["queued", "running"].includes(job.status);

function seconds(s) {
  if (s >= 100) return Math.round(s) + " s";
  if (s >= 1) return s.toFixed(1) + " s";
  if (s >= 0.001) return Math.round(s * 1000) + " ms";
  return s > 0 ? Math.round(s * 1e6) + " µs" : "0";
}

function say(text, bad) {
  $("message").textContent = text;
  $("message").classList.toggle("bad", Boolean(bad));
}

// ask makes a request, and says so if it is refused.
async function ask(method, path, body) {
  const headers = {};
  if (body) headers["Content-Type"] = "application/json";
  const token = $("token").value;
  if (token) headers.Authorization = "Bearer " + token;
  let answer, content;
  try {
    answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
    content = await answer.json();
  } catch {
    say("The server does not answer.", true);
    return null;
  }
  if (answer.ok) return content;
  let text = content.detail || content.title || "Refused";
  const later = answer.headers.get("Retry-After");
  if (later) text += "; try again in " + later + " s";
  say(text + (answer.status === 401 ? "; see below the workers" : "") + ".", true);
  return null;
}

function learn(job) {
  const before = jobs.get(job.id);
  if (before && (ended(before) || rank(job) < rank(before))) return;
  jobs.set(job.id, { ...job, seen: performance.now() });
  if (ended(job) && job.attempts > 0) {
    times.push({ wait: job.wait_seconds, run: job.run_seconds, status: job.status });
    if (times.length > bars) times.shift();
  }
  if (jobs.size > 2 * kept) {
    const old = [...jobs.keys()].sort((a, b) => a - b);
    for (const id of old.slice(0, old.length - kept)) jobs.delete(id);
  }
  redraw();
}

function redraw() {
  if (dirty) return;
  dirty = true;
  requestAnimationFrame(() => {
    dirty = false;
    keepFocus($("workers"), $("pool"), drawState);
    keepFocus($("job-rows"), $("jobs"), drawJobs);
    drawChart($("wait-chart"), "wait");
    drawChart($("run-chart"), "run");
  });
}

// make returns an element with text.
function make(tag, className, text) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  if (text !== undefined) e.textContent = text;
  return e;
}

// usable says whether a button is there to be pressed.
const usable = (button) => button.isConnected && !button.disabled;

// keepFocus draws a list. If the button with the focus is gone after that, the focus moves to the next button, the one
// before, or the section. Otherwise keyboard users would start again at the top of the page.
function keepFocus(list, section, draw) {
  const buttons = list.contains(document.activeElement) ? [...list.querySelectorAll("button")] : [];
  const at = buttons.indexOf(document.activeElement);
  draw();
  if (at < 0 || usable(buttons[at])) return;
  const others = [...buttons.slice(at + 1), ...buttons.slice(0, at).reverse()];
  (others.find(usable) || section).focus();
}

// rows brings the children of a list to the items, in order: those that stay keep their focus.
function rows(list, items, key, create, update) {
  const old = new Map([...list.children].map((e) => [e.dataset.key, e]));
  let at = list.firstElementChild;
  for (const item of items) {
    const k = String(key(item));
    let e = old.get(k);
    old.delete(k);
    if (!e) {
      e = create(item);
      e.dataset.key = k;
    }
    update(e, item);
    if (e === at) at = at.nextElementSibling;
    else list.insertBefore(e, at);
  }
  for (const e of old.values()) e.remove();
}

function set(e, text) {
  if (e.textContent !== String(text)) e.textContent = text;
}

function badge(e, text, look) {
  set(e, text);
  e.className = "badge " + look;
}

function drawState() {
  if (!state) return;
  const s = state.stats;
  for (const name of ["queued", "capacity", "running", "accepted", "succeeded", "failed", "panicked", "canceled"]) {
    set($(name), s[name]);
    $(name).classList.toggle("none", s[name] === 0);
  }
  set($("worker-count"), s.workers);
  const size = $("size");
  if (size.value === size.defaultValue) size.value = size.defaultValue = s.workers; // nobody is about to change it
  $("queue-meter").value = s.queued / Math.max(1, s.capacity);
  $("busy-meter").value = s.busy / Math.max(1, s.workers);
  for (const name of ["wait", "run"]) {
    const measured = s[name + "_seconds"];
    const some = measured.max > 0;
    set($(name + "-p50"), some ? seconds(measured.p50) : "–");
    set($(name + "-p99"), some ? seconds(measured.p99) : "–");
  }
  if (state.draining) badge($("state"), "stopping", "bad");
  else if (s.paused) badge($("state"), "paused", "odd");
  else badge($("state"), "taking jobs", "good");
  set($("pause"), s.paused ? "Resume" : "Pause");
  $("no-workers").hidden = state.workers.length > 0;
  const more = s.workers - state.workers.length;
  $("more-workers").hidden = more <= 0;
  set($("more-workers"), "and " + more + " more");
  rows($("workers"), state.workers, (w) => w.id, () => {
    const e = make("li");
    const button = make("button", "", "Halt");
    button.type = "button";
    button.dataset.action = "halt";
    e.append(make("span", "number"), make("span", "status"), make("span", "what"), button);
    return e;
  }, (e, w) => {
    const [number, status, what, button] = e.children;
    e.className = w.state;
    set(number, "#" + w.id);
    set(status, w.state);
    set(what, w.job ? (w.name || "job") + " (" + w.job + ")" : w.done ? w.done + " done" : "");
    button.setAttribute("aria-label", "Halt worker " + w.id);
    button.disabled = w.state === "halting";
  });
}

function drawJobs() {
  const filter = $("filter").value;
  const list = [...jobs.values()].filter((j) => !filter || j.status === filter).sort((a, b) => b.id - a.id).slice(0, shown);
  $("no-jobs").hidden = list.length > 0;
  rows($("job-rows"), list, (j) => j.id, (j) => {
    const e = make("tr");
    e.append(make("td", "id", j.id), make("td", "name"), make("td", "status"));
    for (const label of ["wait", "run", "worker"]) {
      const cell = make("td", "number");
      cell.dataset.label = label;
      e.append(cell);
    }
    e.append(make("td", "result"), make("td", "action"));
    return e;
  }, (e, j) => {
    const [, name, status, wait, run, worker, outcome, action] = e.children;
    const since = (performance.now() - j.seen) / 1000;
    e.className = j.status;
    set(name, j.name); // of another server's job of that number
    set(status, j.status);
    set(wait, seconds(j.wait_seconds + (j.status === "queued" ? since : 0)));
    set(run, j.attempts ? seconds(j.run_seconds + (j.status === "running" ? since : 0)) : "");
    set(worker, j.worker ?? "");
    set(outcome, (j.error || j.result || "") + (j.attempts > 1 ? " (" + j.attempts + " attempts)" : ""));
    if (ended(j)) {
      action.replaceChildren();
    } else if (!action.firstChild) {
      const button = make("button", "", "Cancel");
      button.type = "button";
      button.dataset.action = "cancel";
      button.setAttribute("aria-label", "Cancel job " + j.id);
      action.append(button);
    }
  });
}

function drawChart(svg, name) {
  const sorted = times.map((t) => t[name]).sort((a, b) => a - b);
  const most = Math.max(sorted.at(-1) ?? 0, 1e-9);
  svg.setAttribute("aria-label", svg.dataset.label + (sorted.length === 0 ? ": none yet" :
    " (" + sorted.length + "): shortest " + seconds(sorted[0]) + ", median " + seconds(sorted[sorted.length >> 1]) +
    ", longest " + seconds(most)));
  const ns = "http://www.w3.org/2000/svg";
  while (svg.childElementCount > times.length) svg.lastChild.remove();
  while (svg.childElementCount < times.length) svg.append(document.createElementNS(ns, "rect"));
  times.forEach((t, i) => {
    const height = Math.max(1, (46 * t[name]) / most);
    const bar = svg.children[i];
    bar.setAttribute("x", 240 - 4 * (times.length - i));
    bar.setAttribute("y", 48 - height);
    bar.setAttribute("width", 3);
    bar.setAttribute("height", height);
    bar.setAttribute("class", t.status);
  });
}

// load gets the newest jobs anew, and all that had not ended when we last heard of them: at the beginning, and when
// events were missed. What the server no longer knows is forgotten here as well.
async function load() {
  let unended = [...jobs.values()].filter((j) => !ended(j)).map((j) => j.id);
  let path = "work?limit=" + shown;
  while (path) {
    const answer = await fetch(path).catch(() => null);
    if (!answer || !answer.ok) { // such as too often
      missed(2000);
      return;
    }
    const list = await answer.json();
    const ids = list.jobs.map((j) => j.id);
    const oldest = list.next ? ids.at(-1) : 0; // the list is whole as far down as this
    list.jobs.reverse().forEach(learn);
    for (const id of unended) if (id >= oldest && !ids.includes(id)) jobs.delete(id);
    unended = unended.filter((id) => id < oldest);
    path = unended.length > 0 ? "work?limit=1000&before=" + (Math.max(...unended) + 1) : "";
  }
  redraw();
}

// missed loads the jobs soon: more events may be missed in the meantime.
function missed(delay = 500) {
  clearTimeout(refetch);
  refetch = setTimeout(load, delay);
}

// see takes in a snapshot. A server that was restarted numbers its jobs from 1 again, so the old ones are forgotten.
function see(snapshot) {
  if (state && state.started !== snapshot.started) {
    jobs.clear();
    times.length = 0;
  }
  state = snapshot;
  redraw();
}

const again = 10000; // ms until a stream that was refused is tried again

function follow() {
  const source = new EventSource("events");
  source.addEventListener("open", () => {
    badge($("link"), "live", "good");
    fresh = true;
  });
  source.addEventListener("error", () => {
    badge($("link"), "reconnecting", "bad");
    // After a connection that broke off the browser tries again by itself, but not after a refusal.
    if (source.readyState === EventSource.CLOSED) setTimeout(follow, again);
  });
  source.addEventListener("snapshot", (event) => {
    see(JSON.parse(event.data));
    if (fresh) load(); // after the first snapshot, which tells whether the server is another one
    fresh = false;
  });
  source.addEventListener("end", (event) => see(JSON.parse(event.data)));
  source.addEventListener("lost", () => missed());
  source.addEventListener("pool", (event) => {
    const e = JSON.parse(event.data);
    if (e.lost) missed();
    if (e.job) learn(e.job);
  });
}

$("add").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  const job = await ask("POST", "work", { name: form.get("name"), delay: Number(form.get("delay")), kind: form.get("kind") });
  if (job) {
    say("Job " + job.id + " is in the queue.");
    learn(job);
  }
});

// steer posts to a control route, whose answer is a snapshot.
async function steer(path, text) {
  const answer = await ask("POST", path);
  if (!answer) return;
  see(answer);
  say(text);
}

$("resize").addEventListener("submit", (event) => {
  event.preventDefault();
  const n = $("size").value;
  $("size").defaultValue = n;
  steer("pool/resize?workers=" + encodeURIComponent(n), "The pool has " + n + " workers.");
});
$("pause").addEventListener("click", () => {
  if (state && state.stats.paused) steer("pool/resume", "The pool goes on.");
  else steer("pool/pause", "The pool is paused: jobs are taken and wait.");
});
$("workers").addEventListener("click", (event) => {
  const row = event.target.closest("li");
  if (event.target.dataset.action !== "halt" || !row) return;
  steer("workers/" + row.dataset.key + "/halt", "Worker " + row.dataset.key + " halts behind its job.");
});
$("job-rows").addEventListener("click", async (event) => {
  const row = event.target.closest("tr");
  if (event.target.dataset.action !== "cancel" || !row) return;
  const job = await ask("DELETE", "work/" + row.dataset.key);
  if (job) {
    say("Job " + job.id + (ended(job) ? " is canceled." : " is to stop."));
    learn(job);
  }
});
$("filter").addEventListener("change", redraw);
setInterval(() => { // what runs and waits grows older
  if ([...jobs.values()].some((j) => !ended(j))) redraw();
}, 500);
follow();
