// /ledger/: new entries come by themselves. The page asks what is new, and the answer says when to ask
// again. It waits while nobody looks, stops when it is told to, goes on after an error, and stays short.

const MOST_ROWS = 200;
const LONGEST_S = 60;
const PATIENCE_MS = 30_000;
let paused = false;
let failures = 0;
let timer = 0;
let looking = false;

/**
 * Return the seconds until the next look, after so many looks that failed.
 *
 * @param {number} failed at least 1
 * @returns {number}
 */
export function retryAfter(failed) {
  return Math.min(2 ** Math.min(failed, 10), LONGEST_S);
}

/**
 * Return the address of the page of older entries, led on from below the last row that is shown.
 *
 * @param {string} address absolute
 * @param {string} index of that row
 * @returns {string}
 */
export function olderThan(address, index) {
  const url = new URL(address);
  url.searchParams.set("before", index);
  return url.href;
}

const live = () => document.getElementById("live");

function say(words) {
  const news = document.getElementById("live-news");
  if (news) news.textContent = words;
}

function lookIn(seconds) {
  clearTimeout(timer);
  timer = setTimeout(() => void look(), seconds * 1000);
}

/** Look once; without an address there is nothing to come any more. */
async function look() {
  const { look: address, delay } = live()?.dataset ?? {};
  if (!address || paused || looking || document.hidden) return;
  looking = true;
  try {
    // The header tells a look from a reader who follows its address.
    const headers = { "HX-Request": "true" };
    const answer = await fetch(address, { headers, signal: AbortSignal.timeout(PATIENCE_MS) });
    if (!answer.ok) throw new Error(`${answer.status}`);
    const text = await answer.text();
    if (paused) return;
    if (failures) say("The server answers again.");
    failures = 0;
    show(text);
    lookIn(Number(live()?.dataset.delay ?? delay));
  } catch {
    if (paused) return; // whoever paused is told that, and nothing else
    failures += 1;
    const wait = retryAfter(failures);
    say(`The server did not answer: this list stands still. Looking again in ${wait} s.`);
    lookIn(wait);
  } finally {
    looking = false;
  }
}

/** Put the rows of an answer in the place of those that moved, and its words where they belong. */
function show(text) {
  const found = new DOMParser().parseFromString(`<table>${text}</table>`, "text/html");
  // Whoever stands between may answer with a page of theirs.
  if (!found.getElementById("live")) throw new Error("not an answer to a look");
  live()?.replaceWith(...found.querySelectorAll("tbody"));
  for (const { content } of found.querySelectorAll("template")) {
    const told = content.firstElementChild;
    document.getElementById(told?.dataset.into)?.replaceChildren(...told.childNodes);
  }
  keepShort();
  document.dispatchEvent(new CustomEvent("page:more"));
}

/** Let the oldest rows go, where the link to older entries can lead to them. */
function keepShort() {
  const page = document.querySelector("main[data-page=ledger]");
  const older = page?.querySelector(".pager a[rel=next]");
  const rows = [...(page?.querySelectorAll("tbody:not(#live) > tr") ?? [])];
  if (!older || rows.length <= MOST_ROWS) return;
  for (const row of rows.splice(MOST_ROWS)) row.remove();
  const last = rows.findLast((row) => row.querySelector("th a"));
  const index = last?.querySelector("th a").textContent.trim() ?? "";
  if (/^\d+$/.test(index)) older.setAttribute("href", olderThan(older.href, index));
}

function switchLive(button) {
  paused = !paused;
  button.textContent = paused ? "Go on" : "Pause";
  say(paused ? "Paused: this list stands still." : "New entries appear here by themselves.");
  void look();
}

if (globalThis.document) {
  const button = document.querySelector("[data-live-switch]");
  if (button) button.hidden = false;
  button?.addEventListener("click", () => switchLive(button));
  document.addEventListener("visibilitychange", () => void look());
  lookIn(Number(live()?.dataset.delay ?? LONGEST_S));
}
