// Conveniences only: every page works without this file.
"use strict";

// "3 min ago" beside absolute times, kept true.
function tellAges() {
  for (const time of document.querySelectorAll("time[data-relative]")) {
    const at = new Date(time.dateTime);
    const seconds = (Date.now() - at.getTime()) / 1000;
    const size = Math.abs(seconds);
    const told =
      size < 60 ? `${Math.round(size)} s` :
      size < 7200 ? `${Math.round(size / 60)} min` :
      size < 172800 ? `${Math.round(size / 3600)} h` : `${Math.round(size / 86400)} d`;
    const text = seconds >= 0 ? `${told} ago` : `in ${told}`;
    if (time.textContent !== text) time.textContent = text;
  }
}
tellAges();
setInterval(tellAges, 1000);
document.addEventListener("htmx:afterSettle", tellAges);

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
