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
    drawState();
    drawJobs();
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
  $("pause").setAttribute("aria-pressed", String(s.paused));
  $("no-workers").hidden = state.workers.length > 0;
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
    e.append(make("td", "id", j.id), make("td", "name", j.name), make("td", "status"));
    for (const label of ["wait", "run", "worker"]) {
      const cell = make("td", "number");
      cell.dataset.label = label;
      e.append(cell);
    }
    e.append(make("td", "result"), make("td", "action"));
    return e;
  }, (e, j) => {
    const [, , status, wait, run, worker, outcome, action] = e.children;
    const since = (performance.now() - j.seen) / 1000;
    e.className = j.status;
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
  const most = Math.max(...times.map((t) => t[name]), 1e-9);
  const ns = "http://www.w3.org/2000/svg";
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

// load gets the jobs anew: at the beginning, and when events were missed.
async function load() {
  const list = await ask("GET", "work?limit=" + shown);
  if (list) list.jobs.reverse().forEach(learn);
}

function missed() {
  clearTimeout(refetch);
  refetch = setTimeout(load, 500);
}

function snapshot(event) {
  state = JSON.parse(event.data);
  redraw();
}

function follow() {
  const source = new EventSource("events");
  source.addEventListener("open", () => {
    badge($("link"), "live", "good");
    load();
  });
  source.addEventListener("error", () => badge($("link"), "reconnecting", "bad"));
  source.addEventListener("snapshot", snapshot);
  source.addEventListener("end", snapshot);
  source.addEventListener("lost", missed);
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
  state = answer;
  say(text);
  redraw();
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
    say("Job " + job.id + " is canceled.");
    learn(job);
  }
});
$("filter").addEventListener("change", redraw);
setInterval(() => { // what runs and waits grows older
  if ([...jobs.values()].some((j) => !ended(j))) redraw();
}, 500);
follow();
