// /docs/evidence/: what this browser remembers of each log, and the evidence of forks it keeps.

import { byId, digestElement, el } from "../dom.js";
import { forkCallout } from "../fork.js";
import { openMemory } from "../remembered.js";

const memory = openMemory();

function show() {
  const logs = memory.all();
  const forks = memory.forks().map((fork) => forkCallout(fork));
  const words = memory.kept
    ? "Nothing yet: check some evidence in this browser first."
    : "This browser keeps nothing for this site, so no visit can be compared with an earlier one.";
  const none = logs.length || forks.length ? [] : [el("p", { class: "muted" }, words)];
  byId("remembered")?.replaceChildren(...forks, ...logs.map(logElement), ...none);
}

function logElement({ origin, vkey, size, note, firstSeenAt, seenAt }) {
  const root = rootOf(note);
  const facts = [
    ["Log", origin],
    ["Its key", el("code", { class: "anywhere" }, vkey)],
    ["Newest checkpoint", `${size} entries`],
    ["Root hash", root ? digestElement(root, "root hash") : "unreadable"],
    ["First seen", timeElement(firstSeenAt)],
    ["Last compared", timeElement(seenAt)],
  ];
  const forget = () => {
    memory.forget(origin);
    show();
    byId("memory")?.scrollIntoView({ block: "nearest" });
  };
  return el(
    "div",
    { class: "panel stack stack-sm" },
    el("dl", { class: "facts long" }, ...facts.flatMap(factElements)),
    el("div", { class: "cluster" }, el("button", { ...button, onclick: forget }, `Forget ${origin}`)),
    el("p", { class: "hint" }, "After that, the next visit is a first contact again: whatever the server shows then is believed."),
  );
}

const button = { type: "button", class: "button" };

function factElements([name, value]) {
  return [el("dt", {}, name), el("dd", {}, value)];
}

function timeElement(at) {
  return el("time", { datetime: at, "data-relative": true }, `${at.slice(0, 19).replace("T", " ")} UTC`);
}

/** The third line of a checkpoint is its root in base64; here as hex, like everywhere on the site. */
function rootOf(note) {
  try {
    return Array.from(atob(note.split("\n")[2]), (char) =>
      char.charCodeAt(0).toString(16).padStart(2, "0"),
    ).join("");
  } catch {
    return "";
  }
}

show();
