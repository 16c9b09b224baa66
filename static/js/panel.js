// "Check in this browser": fills the rows of the evidence panels of a page, and raises the alarm.
//
// The verifier is fetched when it is asked for, and by itself in one case: when the checkpoint at the
// foot of the page cannot continue the one that this browser saw before.

import { el, evidenceWords } from "./element.js";
import { openMemory } from "./remembered.js";

const memory = openMemory();

function askedOf(panel) {
  const { type = "", ...told } = panel.dataset;
  const shown = told.payload && document.querySelector(told.payload);
  return { ...told, type, payload: shown ? shown.textContent : undefined };
}

async function check(panel, button) {
  const status = panel.querySelector("[data-check-status]");
  button.disabled = true;
  panel.setAttribute("aria-busy", "true");
  status.textContent = "Checking…";
  try {
    const { ROWS, checkPanel } = await import("./panel-check.js");
    const now = new Date();
    const store = memory.kept ? localStorage : null;
    const bound = (...call) => fetch(...call);
    const { rows, fork } = await checkPanel(askedOf(panel), { memory, store, fetch: bound, now });
    for (const name of ROWS) fillRow(panel, name, rows[name], now);
    if (fork) await showForks(panel);
    const filled = ROWS.filter((name) => rows[name].state === "checked").length;
    const failed = ROWS.filter((name) => rows[name].state === "failed").length;
    const words = failed ? `${failed} failed, ${filled} checked` : `${filled} of ${ROWS.length} checked`;
    status.textContent = `${words} in this browser.`;
    button.textContent = "Check again";
  } catch (error) {
    status.textContent = `This browser could not check: ${error?.message ?? error}`;
  } finally {
    panel.removeAttribute("aria-busy");
    button.disabled = false;
    button.focus({ preventScroll: true });
  }
}

function fillRow(panel, name, { state, words, expected, found, steps }, now) {
  const row = panel.querySelector(`[data-evidence="${name}"]`);
  if (!row) return;
  row.dataset.state = state;
  row.querySelector("[data-evidence-words]").textContent = evidenceWords(state, words, now);
  for (const old of row.querySelectorAll("[data-checked-detail]")) old.remove();
  if (expected || found) row.append(valuesElement(expected, found));
  if (steps.length) row.append(stepsElement(steps));
}

/** Both differing values, side by side where there is room. */
function valuesElement(expected, found) {
  const value = (text) => el("code", { class: "anywhere" }, text);
  return el(
    "dl",
    { class: "differing", "data-checked-detail": true },
    el("dt", {}, "Expected"),
    el("dd", {}, value(expected || "nothing")),
    el("dt", {}, "Found"),
    el("dd", {}, value(found || "nothing")),
  );
}

function stepsElement(steps) {
  const items = steps.map(({ number, name, detail }) =>
    el("li", { value: number }, el("span", {}, name), el("span", { class: "step-detail" }, detail)),
  );
  return el(
    "details",
    { class: "evidence-steps", "data-checked-detail": true },
    el("summary", {}, "What was compared"),
    el("ol", {}, ...items),
  );
}

/** Few readers ever meet a fork: what shows one is fetched by those who do. */
async function showForks(panel) {
  const forks = memory.forks();
  const { forkCallout } = forks.length ? await import("./fork.js") : {};
  for (const old of panel.querySelectorAll("[data-fork]")) old.remove();
  panel.querySelector("h2")?.after(...forks.map((fork) => forkCallout(fork)));
}

/** A page whose newest checkpoint contradicts what was seen: that is checked without being asked. */
function contradicts() {
  const { origin, size, root } = document.querySelector("[data-checkpoint]")?.dataset ?? {};
  const before = origin ? memory.recall(origin) : null;
  if (!before || !size || !root) return false;
  return Number(size) < before.size || (Number(size) === before.size && root !== rootOf(before));
}

/** The third line of a checkpoint is its root, base64. */
function rootOf({ note }) {
  try {
    const raw = atob(note.split("\n")[2]);
    return Array.from(raw, (char) => char.charCodeAt(0).toString(16).padStart(2, "0")).join("");
  } catch {
    return "";
  }
}

function visit() {
  for (const panel of document.querySelectorAll("[data-panel]")) {
    void showForks(panel);
    const button = panel.querySelector("[data-check]");
    if (button && panel.dataset.bundle && contradicts()) void check(panel, button);
  }
}

document.addEventListener("click", ({ target }) => {
  const button = target.closest?.("[data-check]");
  const panel = button?.closest("[data-panel]");
  if (panel) void check(panel, button);
});
document.addEventListener("htmx:load", ({ target }) => {
  for (const panel of target.querySelectorAll?.("[data-panel]") ?? []) void showForks(panel);
});
visit();
