// What the Run tab shows: a form for each input, an answer in words and bars.

import { FormatError } from "./assay/errors.js";
import { el } from "./dom.js";
import { drawOn, showCells, shrink } from "./drawing.js";
import { tensorOfDrawing, tensorOfFields } from "./run-inputs.js";
import { formatNumber } from "./run-outputs.js";

const SIDE = 280;

/**
 * @typedef {{element: HTMLElement, tensor: (mark?: boolean) =>
 *   import("./run-inputs.js").JsonTensor}} Control `tensor` throws FormatError when a field is not
 *   filled in, and with `mark` shows which one
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
  if (plan.kind === "fields") return fieldsControl(plan, index, onChange);
  return null;
}

function drawingControl(plan, index, onChange) {
  const id = index === 0 ? "draw" : `draw-${index}`;
  const { rows, columns } = plan.grid;
  const words = `Drawing area for ${plan.name}`;
  const canvas = el("canvas", {
    ...{ id, class: "draw", width: 2 * SIDE, height: 2 * SIDE, role: "img", "aria-label": words },
  });
  const invitation = el("span", { class: "draw-here", "aria-hidden": "true" }, "Draw here");
  const given = `What the model is given: ${columns} by ${rows} values`;
  const cells = el("canvas", {
    ...{ class: "cells", width: columns, height: rows, role: "img", "aria-label": given },
  });
  const showGiven = showCells(cells, () => shrink(drawing.strokes(), plan.grid, [0, 1]));
  const drawing = drawOn(canvas, () => {
    invitation.hidden = drawing.strokes().length > 0;
    showGiven();
    onChange();
  });
  canvas.addEventListener("pointerdown", () => {
    invitation.hidden = true;
  });
  const clear = el("button", { type: "button", class: "button", onclick: drawing.clear }, "Clear");
  const hint =
    `Your drawing is centred and shrunk to ${columns} by ${rows} values from ${plan.range[0]} to ` +
    `${plan.range[1]}, as the small picture shows. No mouse or finger? Edit the request as JSON.`;
  const beside = el("figure", { class: "given" }, cells, el("figcaption", {}, given));
  return {
    element: el(
      "div",
      { class: "stack stack-sm" },
      el("div", { class: "drawing" }, el("div", { class: "paper" }, canvas, invitation), beside),
      el("div", { class: "cluster" }, clear),
      el("p", { class: "hint" }, hint),
    ),
    tensor: () => {
      if (!drawing.strokes().length) throw new FormatError(`"${plan.name}" is not drawn yet.`);
      return tensorOfDrawing(plan, shrink(drawing.strokes(), plan.grid, plan.range));
    },
  };
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
  const legend = `${plan.name}: ${plan.datatype} [${plan.shape.join(", ")}]`;
  const grid = el("div", { class: "number-grid" }, ...fields);
  return {
    element: el("fieldset", {}, el("legend", {}, legend), grid),
    tensor: (mark = false) => {
      if (mark) markFaults(plan, inputs);
      return tensorOfFields(plan, inputs.map((input) => input.value));
    },
  };
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
  const pre = el("pre", { tabindex: 0, role: "region", "aria-label": reading.name }, reading.words);
  return el("div", { class: "stack stack-sm" }, title, el("div", { class: "code" }, pre));
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
 * Return the answer in one line, "" when it has no short form.
 *
 * @param {import("./run-outputs.js").Reading[]} readings
 * @returns {string}
 */
export function headline(readings) {
  const scores = readings.find(({ kind }) => kind === "scores");
  if (scores) return scores.bars.find(({ best }) => best)?.label ?? "";
  const value = readings.find(({ kind }) => kind === "value");
  return value ? `${value.words} ${value.unit}`.trim() : "";
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
