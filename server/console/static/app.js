// Conveniences only: every page works without this file.
"use strict";

// "3 min ago" beside absolute times, kept true.
function tellAges() {
  for (const time of document.querySelectorAll("time[data-relative], time[data-beside]")) {
    const at = new Date(time.dateTime);
    const seconds = (Date.now() - at.getTime()) / 1000;
    const size = Math.abs(seconds);
    const told =
      size < 60 ? `${Math.round(size)} s` :
      size < 7200 ? `${Math.round(size / 60)} min` :
      size < 172800 ? `${Math.round(size / 3600)} h` : `${Math.round(size / 86400)} d`;
    const said = seconds >= 0 ? `${told} ago` : `in ${told}`;
    const text = "beside" in time.dataset ? ` (${said})` : said;
    if (time.textContent !== text) time.textContent = text;
  }
}
tellAges();
setInterval(tellAges, 1000);
document.addEventListener("htmx:afterSettle", tellAges);

// The tab's title says where the incident is, as the page does.
document.addEventListener("htmx:afterSettle", () => {
  const titled = document.querySelector("[data-title]");
  if (titled) document.title = titled.dataset.title;
});

// What was unfolded or folded stays so when news replaces it.
const folds = new Map();
document.addEventListener("toggle", (event) => {
  if (event.target.id) folds.set(event.target.id, event.target.open);
}, true);
document.addEventListener("htmx:afterSwap", keepFolds);
document.addEventListener("htmx:sseMessage", keepFolds);
function keepFolds() {
  for (const [id, open] of folds) {
    const fold = document.getElementById(id);
    if (fold && fold.open !== open) fold.open = open;
  }
}

// Nobody decides by a page that has quietly stopped following: say so, and since when. A reconnect takes a moment.
let lost = null;
function stale() {
  if (lost !== null) return;
  const since = new Date().toISOString().slice(11, 19);
  lost = setTimeout(() => {
    const told = document.getElementById("stale");
    told.textContent = `Not live: the server was last heard at ${since} UTC. Trying again; reload to see what is so now.`;
    told.hidden = false;
  }, 5000);
}
function fresh() {
  clearTimeout(lost);
  lost = null;
  document.getElementById("stale").hidden = true;
}
for (const name of ["htmx:sseError", "htmx:sendError", "htmx:responseError"]) document.addEventListener(name, stale);
document.addEventListener("htmx:sseOpen", fresh);
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.successful && event.target.id === "list") fresh();
});

// Steps are moved by buttons; the numbers that count without them follow.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-move]");
  if (!button) return;
  const step = button.closest("[data-step]");
  const other = button.dataset.move === "up" ? step.previousElementSibling : step.nextElementSibling;
  if (!other) return;
  if (button.dataset.move === "up") other.before(step); else other.after(step);
  document.querySelectorAll("[data-step]").forEach((item, index) => {
    item.querySelector("[name^=order_]").value = index + 1;
  });
  button.focus();
});

// Keys: j and k go through a list, a and e go to the waiting decision, / to the search. Never inside a field.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
  if (event.key === "/") {
    const search = document.querySelector("input[type=search]");
    if (search) { event.preventDefault(); search.focus(); }
  } else if (event.key === "j" || event.key === "k") {
    const rows = [...document.querySelectorAll(".incidents .row")];
    if (!rows.length) return;
    const now = rows.indexOf(document.activeElement);
    const next = event.key === "j" ? Math.min(now + 1, rows.length - 1) : Math.max(now - 1, 0);
    rows[next].focus();
  } else {
    const target = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (target) { target.scrollIntoView({ block: "center" }); target.focus(); }
  }
});
