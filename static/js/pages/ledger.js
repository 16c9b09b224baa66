// /ledger/: new entries come by themselves (htmx asks, the server says how soon again). Here they
// wait while nobody looks, stop when they are told to, go on after an error, and stay few.

const MOST_ROWS = 200;
const LONGEST_S = 60;
const NEWS = "live-news";
let paused = false;
let failures = 0;

/**
 * Return the seconds until the next look, after so many looks that failed.
 *
 * @param {number} failed at least 1
 * @returns {number}
 */
export function retryAfter(failed) {
  return Math.min(2 ** Math.min(failed, 10), LONGEST_S);
}

const live = () => document.getElementById("live");
const isLook = (event) => event.target?.id === "live";

function say(words) {
  const news = document.getElementById(NEWS);
  if (news) news.textContent = words;
}

function lookAgain() {
  const part = live();
  if (part && !paused && !document.hidden) htmx.trigger(part, "again");
}

function switchLive(button) {
  paused = !paused;
  button.textContent = paused ? "Go on" : "Pause";
  say(paused ? "Paused: this list stands still." : "New entries appear here by themselves.");
  lookAgain();
}

function onFailure(event) {
  if (!isLook(event)) return;
  failures += 1;
  const wait = retryAfter(failures);
  say(`The server did not answer: this list stands still. Looking again in ${wait} s.`);
  setTimeout(lookAgain, wait * 1000);
}

function onSuccess(event) {
  if (failures && event.target?.closest?.("main[data-page=ledger]")) {
    failures = 0;
    say("The server answers again.");
  }
  const rows = document.querySelectorAll("main[data-page=ledger] tbody:not(#live) > tr");
  for (const row of [...rows].slice(MOST_ROWS)) row.remove();
}

if (globalThis.document) {
  const button = document.querySelector("[data-live-switch]");
  if (button) button.hidden = false;
  button?.addEventListener("click", () => switchLive(button));
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (isLook(event) && (paused || document.hidden)) event.preventDefault();
  });
  for (const name of ["responseError", "sendError", "timeout"]) {
    document.addEventListener(`htmx:${name}`, onFailure);
  }
  document.addEventListener("htmx:afterSettle", onSuccess);
  document.addEventListener("visibilitychange", lookAgain);
}
