// Elements, and the words of evidence: what pages need that are only read.

/**
 * Make an element: attributes that are `false`, null or undefined are left out, functions listen.
 *
 * @param {string} tag
 * @param {Record<string, unknown>} [attributes] `onclick: fn` listens to click
 * @param {...(Node | string | null)} children
 * @returns {HTMLElement}
 */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

const STATES = { failed: "failed", unknown: "could not check", server: "server says" };

/**
 * Return the words of a line of evidence; `state` is that of the evidence panel.
 *
 * @param {string} state
 * @param {string} words
 * @param {Date} [now]
 * @returns {string}
 */
export function evidenceWords(state, words, now = new Date()) {
  const checked = `checked here ${now.toISOString().slice(11, 19)} UTC`;
  return `${state === "checked" ? checked : STATES[state]}: ${words}`;
}
