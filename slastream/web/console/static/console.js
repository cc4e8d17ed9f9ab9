// What pages do by themselves: they follow their stream, count down, and obey a few keys. Without it they work all the same.
"use strict";

const offset = Number(document.body.dataset.now) - Date.now(); // the server's clock, not that of this machine

// ---- countdowns and distances; rendering.py writes the same

function span(ms) {
  const seconds = Math.floor(ms / 1000), minutes = Math.floor(seconds / 60), hours = Math.floor(seconds / 3600);
  const two = (n) => String(n).padStart(2, "0");
  if (hours >= 24) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  if (hours) return `${hours} h ${two(minutes % 60)} min`;
  if (minutes >= 10) return `${minutes} min`;
  return minutes ? `${minutes} min ${two(seconds % 60)} s` : `${seconds} s`;
}

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function tick() {
  const now = Date.now() + offset;
  for (const element of document.querySelectorAll("[data-countdown]")) {
    const left = Date.parse(element.dataset.countdown) - now;
    put(element, left > 0 ? `${span(left)} left` : `${span(-left)} over`);
  }
  for (const element of document.querySelectorAll("[data-distance]")) {
    const ahead = Date.parse(element.dataset.distance) - now;
    put(element, ahead >= 0 ? `in ${span(ahead)}` : `${span(-ahead)} ago`);
  }
}

// ---- live: each part of the page that has changed is replaced; focus and open details stay where they are

const told = new Map(); // what the server said last of each part: the page's own text is changed by countdowns

function livePart(root, name) {
  return [...root.querySelectorAll("[data-live]")].find((one) => one.dataset.live === name);
}

function replace(old, fresh) {
  const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
  for (const one of old.querySelectorAll("details[id]")) {
    const same = fresh.querySelector(`#${CSS.escape(one.id)}`);
    if (same) same.open = one.open;
  }
  old.replaceWith(fresh);
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

function show(html) {
  const [title, main] = html.split("\x1e");
  document.title = `${title.trim()} · slastream`;
  const template = document.createElement("template");
  template.innerHTML = main;
  for (const fresh of template.content.querySelectorAll("[data-live]")) {
    const name = fresh.dataset.live, text = fresh.outerHTML, old = livePart(document, name);
    if (told.get(name) === text) continue;
    told.set(name, text);
    if (!old) continue;
    const isUsed = old.contains(document.activeElement) && document.activeElement.matches("select, input, textarea");
    if (!isUsed) replace(old, fresh.cloneNode(true));
  }
  tick();
}

const statusText = document.getElementById("status-text"), pause = document.getElementById("pause");
let source = null, isPaused = false;

function say(word, text) {
  const status = document.getElementById("status");
  status.dataset.state = word;
  status.hidden = false;
  put(statusText, text);
}

function follow() {
  source = new EventSource(location.href);
  source.addEventListener("page", (event) => {
    say("live", "Live");
    show(event.data);
  });
  source.addEventListener("open", () => say("live", "Live"));
  source.addEventListener("error", () => say("lost", "Reconnecting"));
}

pause.addEventListener("click", () => {
  isPaused = !isPaused;
  put(pause, isPaused ? "Resume" : "Pause");
  if (isPaused) {
    source.close();
    say("paused", "Paused");
  } else {
    follow();
  }
});

// ---- keys and forms

function step(by) {
  const links = [...document.querySelectorAll("a.ticket")];
  const at = links.indexOf(document.activeElement);
  (links[at + by] ?? links[by > 0 ? 0 : links.length - 1])?.focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
  if (event.key === "/") {
    event.preventDefault();
    document.getElementById("q").focus();
  } else if (event.key === "j" || event.key === "k") {
    step(event.key === "j" ? 1 : -1);
  }
});

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submits]")) event.target.form.requestSubmit();
});

document.addEventListener("submit", (event) => {
  for (const field of event.target.querySelectorAll("select")) if (!field.value) field.disabled = true; // shorter addresses
});

document.documentElement.classList.add("scripted");
setInterval(tick, 1000);
if (livePart(document, document.querySelector("[data-live]")?.dataset.live)) follow();
