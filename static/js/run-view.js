// What the Run tab shows: a form for each input, an answer as people read it.

import { el } from "./dom.js";
import { drawingControl } from "./run-drawing.js";
import { tensorOfFields } from "./run-inputs.js";
import { formatNumber } from "./run-outputs.js";
import { pictureControl } from "./run-picture.js";

/**
 * @typedef {{element: HTMLElement, tensor: (mark?: boolean) =>
 *   import("./run-inputs.js").JsonTensor, fill?: (tensor: import("./run-inputs.js").JsonTensor) =>
 *   boolean, picture?: (tensor: import("./run-inputs.js").JsonTensor) => HTMLElement | null,
 *   take?: (file: Blob) => Promise<void>}} Control `tensor` throws FormatError when a field is not
 *   filled in, and with `mark` shows which one; `fill` says whether it shows the values; `picture`
 *   is what they look like, small; `take` takes a picture
 */

/**
 * Return the control of one input, null for one that is given as JSON.
 *
 * @param {import("./run-inputs.js").Plan} plan
 * @param {number} index of the input
 * @param {() => void} onChange
 * @returns {Control | null}
 */
export function controlOf(plan, index, onChange) {
  if (plan.kind === "drawing") return drawingControl(plan, index, onChange);
  if (plan.kind === "image") {
    const control = pictureControl(plan, index, onChange);
    return { ...control, element: el("fieldset", {}, legendOf(plan), control.element) };
  }
  if (plan.kind === "fields") return fieldsControl(plan, index, onChange);
  return null;
}

function fieldsControl(plan, index, onChange) {
  const number = plan.datatype !== "BYTES" && plan.datatype !== "BOOL";
  const edited = ({ target }) => {
    target.removeAttribute("aria-invalid");
    onChange();
  };
  const inputs = plan.fields.map(({ value }, place) =>
    el("input", {
      ...{ id: `field-${index}-${place}`, type: "text", value, oninput: edited },
      ...{ autocomplete: "off", inputmode: number ? "decimal" : "text" },
    }),
  );
  const fields = plan.fields.map(({ label }, place) => {
    const { id } = inputs[place];
    return el("div", { class: "field" }, el("label", { for: id }, label), inputs[place]);
  });
  const grid = el("div", { class: "number-grid" }, ...fields);
  return {
    element: el("fieldset", {}, legendOf(plan), grid),
    fill: ({ data }) => {
      if (data.length !== inputs.length) return false;
      inputs.forEach((input, place) => {
        input.value = String(data[place]);
        input.removeAttribute("aria-invalid");
      });
      onChange();
      return true;
    },
    tensor: (mark = false) => {
      if (mark) markFaults(plan, inputs);
      return tensorOfFields(plan, inputs.map((input) => input.value));
    },
  };
}

function legendOf({ name, datatype, shape }) {
  const kind = el("span", { class: "port muted" }, `${datatype} [${shape.join(", ")}]`);
  return el("legend", {}, name, " ", kind);
}

/** Mark the fields whose text is no value, and lead the reader to the first. */
function markFaults(plan, inputs) {
  const faulty = inputs.filter((input, place) => {
    const one = { ...plan, fields: [plan.fields[place]] };
    try {
      tensorOfFields(one, [input.value]);
      return false;
    } catch {
      return true;
    }
  });
  for (const input of faulty) input.setAttribute("aria-invalid", "true");
  faulty[0]?.focus();
}

/**
 * Return what an output says.
 *
 * @param {import("./run-outputs.js").Reading} reading
 * @returns {HTMLElement}
 */
export function readingElement(reading) {
  const title = el("p", { class: "port" }, el("strong", {}, reading.name));
  if (reading.kind === "scores") {
    const left = reading.left ? `and ${reading.left} lower ones` : null;
    const more = left && el("p", { class: "small muted" }, left);
    return el("div", { class: "stack stack-sm" }, title, barsElement(reading), more);
  }
  if (reading.kind === "value") {
    const value = el("p", {}, el("strong", {}, reading.words), ` ${reading.unit}`);
    return el("div", { class: "stack stack-sm" }, title, value);
  }
  if (reading.kind === "table") {
    const more = reading.left && el("p", { class: "small muted" }, reading.left);
    return el("div", { class: "stack stack-sm" }, title, tableElement(reading), more || null);
  }
  if (reading.kind === "picture") return pictureElement(reading, title);
  const pre = el("pre", { tabindex: 0, role: "region", "aria-label": reading.name }, reading.words);
  return el("div", { class: "stack stack-sm" }, title, el("div", { class: "code" }, pre));
}

function tableElement({ name, heads, rows }) {
  const head = heads.map((words) => el("th", { scope: "col", class: "num" }, words));
  const lines = rows.map((row, at) => {
    const cells = row.map((words) => el("td", { class: "num" }, words));
    return el("tr", {}, el("th", { scope: "row", class: "num" }, String(at)), ...cells);
  });
  const top = el("tr", {}, el("th", { scope: "col" }, "row"), ...head);
  const table = el("table", { class: "table" }, el("thead", {}, top), el("tbody", {}, ...lines));
  return el("div", { class: "table-wrap", tabindex: 0, role: "group", "aria-label": name }, table);
}

function pictureElement({ name, columns, rows, rgba, words }, title) {
  const look = { class: "picture", width: columns, height: rows, role: "img", "aria-label": name };
  const canvas = el("canvas", look);
  canvas.classList.toggle("small", Math.max(columns, rows) < 112);
  canvas.getContext("2d").putImageData(new ImageData(rgba, columns, rows), 0, 0);
  const figure = el("figure", { class: "given" }, canvas, el("figcaption", {}, words));
  return el("div", { class: "stack stack-sm" }, title, figure);
}

function barsElement({ name, bars }) {
  const cells = bars.flatMap(({ label, value, share, words, best }) => {
    const mark = { class: best ? "best" : null };
    const meaning = `${name} of ${label}`;
    const bar = el("progress", { max: 1, value: share, "aria-label": meaning }, words);
    const number = el("span", { ...mark, title: formatNumber(value) }, words);
    return [el("span", mark, label), bar, number];
  });
  return el("div", { class: "bars" }, ...cells);
}

/**
 * Return an answer: in one line where it has a short form, then what is not said by that line.
 *
 * @param {import("./run-outputs.js").Reading[]} readings
 * @returns {HTMLElement[]}
 */
export function answerElements(readings) {
  const { words, unit } = headline(readings);
  if (!words) return readings.map(readingElement);
  const measured = unit ? [" ", el("span", { class: "unit" }, unit)] : [];
  const line = el("p", { class: "result-value" }, words, ...measured);
  const others = readings.filter((one) => one.kind !== "value" || one.words !== words);
  return [line, ...others.map(readingElement)];
}

function headline(readings) {
  const scores = readings.find(({ kind }) => kind === "scores");
  if (scores) return { words: scores.bars.find(({ best }) => best)?.label ?? "", unit: "" };
  return readings.find(({ kind }) => kind === "value") ?? { words: "", unit: "" };
}

/**
 * Return one line of evidence; `state` is that of the evidence panel.
 *
 * @param {string} state
 * @param {string} words
 * @returns {HTMLElement}
 */
export function evidenceLine(state, words) {
  const line = el("p", { class: "evidence-state" }, el("span", {}, words));
  return el("div", { "data-state": state }, line);
}

/**
 * Return a block of text with a copy button.
 *
 * @param {string} title
 * @param {string} text
 * @returns {HTMLElement}
 */
export function codeElement(title, text) {
  const copying = { type: "button", class: "copy", "data-copy": text };
  const copy = el("button", { ...copying, "aria-label": `Copy: ${title}` }, "Copy");
  const head = el("div", { class: "code-head" }, el("span", {}, title), copy);
  const pre = el("pre", { tabindex: 0, role: "region", "aria-label": title }, el("code", {}, text));
  return el("div", { class: "code" }, head, pre);
}
