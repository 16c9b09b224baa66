// A fork, shown: what the log signed twice, the evidence to save, and whom to tell.

import { download, el } from "./dom.js";

/**
 * Return what a reader sees of a fork.
 *
 * @param {import("./remembered.js").Fork} fork
 * @returns {HTMLElement}
 */
export function forkCallout(fork) {
  const { origin, first, second, words, foundAt } = fork;
  const found = foundAt.slice(0, 19).replace("T", " ");
  const notes = [
    ["Seen first", first],
    ["Shown now", second],
  ].map(([title, note]) =>
    el(
      "details",
      {},
      el("summary", {}, `${title}: ${heading(note)}`),
      el("pre", { tabindex: 0, role: "region", "aria-label": `${title}, as signed` }, note),
    ),
  );
  const save = () => download(`fork-of-${origin}.json`, forkEvidence(fork));
  return el(
    "div",
    { class: "callout bad stack stack-sm", role: "alert", "data-fork": origin },
    el("p", { class: "callout-title" }, `The log ${origin} contradicts itself`),
    el("p", {}, `${words}. Found here on ${found} UTC. Rely on nothing of this log until it is explained.`),
    ...notes,
    el(
      "div",
      { class: "cluster" },
      el("button", { type: "button", class: "button", onclick: save }, "Save this evidence"),
      el("a", { href: "/docs/evidence/#fork" }, "What it means, and whom to tell"),
    ),
  );
}

/**
 * Return what to save: the evidence that `assay split-view` checks, whole. Where the hashes that tie
 * trees of two sizes together could not be had, they are missing in it, and whoever has the log's
 * files adds them.
 *
 * @param {import("./remembered.js").Fork} fork
 * @returns {string} JSON
 */
export function forkEvidence({ first, second, evidence }) {
  if (evidence) return evidence;
  const [smaller, larger] = sizeOf(first) > sizeOf(second) ? [second, first] : [first, second];
  const notes = { first: smaller, left: [], right: [], second: larger };
  return JSON.stringify({ ...notes, type: "urn:assay:split-view:v1" }, null, 2);
}

function sizeOf(note) {
  return Number(note.split("\n")[1]);
}

function heading(note) {
  const [, size, root] = note.split("\n");
  return `${size} entries, root ${root}`;
}
