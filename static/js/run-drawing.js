// A small picture as an input: drawn here, taken from an example, or made from a picture.

import { FormatError } from "./assay/errors.js";
import { el } from "./dom.js";
import { drawOn, showCells, shrink } from "./drawing.js";
import { inkOf, inkRange, tensorOfDrawing } from "./run-inputs.js";
import { pictureControl } from "./run-picture.js";
import { movedWords } from "./run-pixels.js";

const SIDE = 280;

/**
 * Return the control of an input that is drawn.
 *
 * @param {import("./run-inputs.js").Plan} plan
 * @param {number} index of the input
 * @param {() => void} onChange
 * @returns {import("./run-view.js").Control}
 */
export function drawingControl(plan, index, onChange) {
  const { canvas, invitation, cells, beside, element } = paperOf(plan, index);
  let example = null; // stands on the paper until something is drawn or chosen
  let photographed = false; // a picture was taken after the last stroke
  const shares = () =>
    example ? inkOf(plan, example.data) : shrink(drawing.strokes(), plan.grid, [0, 1]);
  const showGiven = showCells(cells, shares);
  const photo = pictureControl(plan, index, () => {
    // The picture takes the place of what stands on the paper, and is shown where it was chosen.
    photographed = true;
    example = null;
    drawing.clear();
    invitation.hidden = false;
    beside.hidden = true;
    onChange();
  });
  canvas.addEventListener("pointerdown", ({ button }) => {
    if (button !== 0) return;
    example = null;
    invitation.hidden = true;
  });
  const changed = () => {
    photographed = false;
    example = null;
    photo.forget();
    beside.hidden = false;
    invitation.hidden = drawing.strokes().length > 0;
    showGiven();
    onChange();
  };
  const drawing = drawOn(canvas, changed, () => example && cells);
  const clear = () => {
    drawing.clear();
    changed();
  };
  const button = el("button", { type: "button", class: "button", onclick: clear }, "Clear");
  const more = el("details", {}, el("summary", {}, "A picture instead"), photo.element);
  element.append(el("div", { class: "cluster" }, button), hintOf(plan), more);
  return {
    element,
    take: photo.take,
    picture: ({ data }) => thumbnail(plan, data),
    fill: (tensor) => {
      if (!fits(plan, tensor)) return false;
      photographed = false;
      photo.forget();
      example = tensor;
      drawing.clear();
      beside.hidden = false;
      invitation.hidden = true;
      showGiven();
      drawing.paint(); // once more: the cells are its picture
      onChange();
      return true;
    },
    tensor: () => {
      if (photographed) return photo.tensor();
      const { name, datatype, shape } = plan;
      if (example) return { name, datatype, shape, data: example.data };
      if (!drawing.strokes().length) throw new FormatError(`"${name}" is not drawn yet.`);
      return tensorOfDrawing(plan, shrink(drawing.strokes(), plan.grid, inkRange(plan)));
    },
  };
}

function paperOf({ name, grid: { rows, columns } }, index) {
  const id = index === 0 ? "draw" : `draw-${index}`;
  const words = `Drawing area for ${name}`;
  const canvas = el("canvas", {
    ...{ id, class: "draw", width: 2 * SIDE, height: 2 * SIDE, role: "img", "aria-label": words },
  });
  const invitation = el("span", { class: "draw-here", "aria-hidden": "true" }, "Draw here");
  const given = `What the model is given: ${columns} by ${rows} values`;
  const cells = el("canvas", {
    ...{ class: "cells", width: columns, height: rows, role: "img", "aria-label": given },
  });
  const beside = el("figure", { class: "given" }, cells, el("figcaption", {}, given));
  const paper = el("div", { class: "paper" }, canvas, invitation);
  const drawing = el("div", { class: "drawing" }, paper, beside);
  const element = el("div", { class: "stack stack-sm" }, drawing);
  return { canvas, invitation, cells, beside, element };
}

function hintOf(plan) {
  const { rows, columns } = plan.grid;
  const [paper, ink] = inkRange(plan);
  const words =
    `Your drawing is centred and shrunk to ${columns} by ${rows} values from ${paper} to ` +
    `${ink}${movedWords(plan.preparation)}, as the small picture shows. No mouse or finger? Take ` +
    "an example, or edit the request as JSON.";
  return el("p", { class: "hint" }, words);
}

/** A tensor is shown on the paper where it is one picture of one channel, of numbers. */
function fits({ channels, shape }, tensor) {
  const same = String(tensor.shape) === String(shape);
  return channels === 1 && same && tensor.data.every(Number.isFinite);
}

/** An example as it looks, small; null where it is no picture of one channel. */
function thumbnail(plan, data) {
  const { rows, columns } = plan.grid;
  if (plan.channels !== 1 || data.length !== rows * columns) return null;
  const look = { class: "cells tiny", width: columns, height: rows, "aria-hidden": "true" };
  const canvas = el("canvas", look);
  // Its colour is known once it stands in the page.
  queueMicrotask(showCells(canvas, () => inkOf(plan, data)));
  return canvas;
}
