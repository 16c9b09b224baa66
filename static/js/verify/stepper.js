// The stepper: each step with its state as a word, what was compared, and where two values differ,
// both.

import { digestElement, el } from "../dom.js";
import { PARTS } from "./plan.js";

const WORDS = {
  waiting: "waiting",
  running: "running",
  passed: "passed",
  failed: "failed",
  skipped: "skipped",
};
const HEX = /^[0-9a-f]{64}$/;
const LONG = 400; // characters of a value that stand on the page unfolded

/** The steps of a check on the page. */
export class Stepper {
  #rows = new Map();

  /** @param {HTMLElement} place */
  constructor(place) {
    place.replaceChildren(...PARTS.map((part) => this.#part(part)));
  }

  /** @param {import("./plan.js").Step} step */
  show({ id, title, state, detail, expected, found }) {
    const row = this.#rows.get(id);
    row.element.dataset.step = state;
    row.title.textContent = title;
    row.word.textContent = WORDS[state];
    row.detail.textContent = detail;
    row.detail.hidden = !detail;
    row.values.replaceChildren(...(expected === undefined ? [] : valueElements(expected, found)));
    row.values.hidden = expected === undefined;
  }

  /** @param {string} id @returns {HTMLElement} where more can stand under a step */
  under(id) {
    return this.#rows.get(id).under;
  }

  #part({ title, steps }) {
    const id = `part-${title.toLowerCase().replace(/[^a-z]+/g, "-")}`;
    return el(
      "section",
      { class: "stack stack-sm", "aria-labelledby": id },
      el("h3", { id }, title),
      el("ol", { class: "check-steps" }, ...steps.map(([step, words]) => this.#row(step, words))),
    );
  }

  #row(id, title) {
    const row = {
      title: el("span", { class: "check-title" }, title),
      word: el("span", { class: "check-word" }, WORDS.waiting),
      detail: el("p", { class: "check-detail", hidden: true }),
      values: el("dl", { class: "check-values", hidden: true }),
      under: el("div", { class: "check-under" }),
    };
    const head = el("p", { class: "check-head" }, el("span", { class: "check-number" }, id));
    head.append(row.title, row.word);
    const body = el("div", { class: "check-body" }, head, row.detail, row.values, row.under);
    row.element = el("li", { "data-step": "waiting", "data-step-id": id }, body);
    this.#rows.set(id, row);
    return row.element;
  }
}

function valueElements(expected, found) {
  const values = Object.entries({ expected, found }).filter(([, value]) => value !== "");
  return values.flatMap(([name, value]) => [
    el("dt", {}, name),
    el("dd", { "data-value": name }, valueElement(value, `${name} value`)),
  ]);
}

function valueElement(value, label) {
  const text = String(value);
  if (HEX.test(text)) {
    const digest = digestElement(text, label);
    digest.classList.add("whole");
    return digest;
  }
  if (!text.includes("\n") && text.length <= LONG) return el("span", { class: "anywhere" }, text);
  return el("pre", { tabindex: 0, role: "region", "aria-label": label }, text);
}
