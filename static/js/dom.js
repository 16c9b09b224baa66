// Small helpers of the pages. Text goes in as text nodes only: nothing here reads HTML.

import { el } from "./element.js";

export { el, evidenceWords } from "./element.js";

const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** @param {string} id @returns {any} the element, or null */
export function byId(id) {
  return document.getElementById(id);
}

/**
 * Show an error in the alert `id`, else in the first alert of the page, else in a new one.
 *
 * @param {unknown} error
 * @param {string} [id]
 */
export function showError(error, id = "") {
  const box = alertBox(id);
  const detail = typeof error?.detail === "object" ? (error.detail ?? {}) : {}; // of an ApiError
  const facts = Object.entries(detail).flatMap(([name, value]) => [
    el("dt", {}, name),
    el("dd", {}, typeof value === "string" ? value : JSON.stringify(value)),
  ]);
  box.replaceChildren(
    el("p", { class: "callout-title" }, String(error?.message ?? error)),
    ...(facts.length ? [el("dl", { class: "facts" }, ...facts)] : []),
  );
  box.hidden = false;
  box.scrollIntoView({ block: "nearest" });
}

/** @param {string} [id] */
export function clearError(id = "") {
  const box = byId(id);
  if (!box) return;
  box.replaceChildren();
  box.hidden = true;
}

function alertBox(id) {
  const main = document.querySelector("main") ?? document.body;
  const found = byId(id) ?? main.querySelector("[role=alert][data-errors]");
  if (found) {
    if (!found.classList.contains("callout")) found.classList.add("callout", "bad");
    return found;
  }
  const words = { role: "alert", class: "callout bad", "data-errors": true };
  const made = el("div", { ...words, id: id || null });
  main.prepend(made);
  return made;
}

/**
 * Say something in a polite live region, if the page has it.
 *
 * @param {string} id
 * @param {string} text
 */
export function say(id, text) {
  const region = byId(id);
  if (region && region.textContent !== text) region.textContent = text;
}

/**
 * Run `action` with the button out of use, and show its error.
 *
 * @param {HTMLButtonElement | null} button
 * @param {string} alertId
 * @param {() => Promise<void>} action
 */
export async function guarded(button, alertId, action) {
  clearError(alertId);
  const focused = button !== null && document.activeElement === button;
  if (button) button.disabled = true;
  try {
    await action();
  } catch (error) {
    showError(error, alertId);
  } finally {
    if (button) button.disabled = false;
    // A button that goes out of use loses the focus, and the keyboard its place with it.
    if (focused && document.activeElement === document.body) button.focus();
  }
}

/**
 * Return a digest as the pages show it: grouped, shortened by the style sheet, with a copy button.
 *
 * @param {string} hex
 * @param {string} [label] what it is
 * @returns {HTMLElement}
 */
export function digestElement(hex, label = "digest") {
  const groups = (hex.match(/.{1,8}/g) ?? []).map((group) => el("span", {}, group));
  const words = `Copy the ${label} ${hex.slice(0, 8)}`;
  return el(
    "span",
    { class: "digest" },
    el("code", { class: "digest-value" }, ...groups),
    el("button", { type: "button", class: "copy", "data-copy": hex, "aria-label": words }, "Copy"),
  );
}

/**
 * Return a size as people read it: `17 B`, `1.4 MB` (powers of 1000).
 *
 * @param {number} size bytes
 * @returns {string}
 */
export function formatBytes(size) {
  let amount = size;
  let unit = 0;
  for (; amount >= 1000 && unit < UNITS.length - 1; unit += 1) amount /= 1000;
  return unit === 0 ? `${size} B` : `${amount.toFixed(1)} ${UNITS[unit]}`;
}

/**
 * Give the reader a file.
 *
 * @param {string} name
 * @param {string} text
 * @param {string} [type]
 */
export function download(name, text, type = "application/json") {
  const address = URL.createObjectURL(new Blob([text], { type }));
  const link = el("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
