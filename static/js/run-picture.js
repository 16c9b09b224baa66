// A picture of the reader's, dropped, chosen or pasted, as an input.

import { FormatError } from "./assay/errors.js";
import { el } from "./dom.js";
import { placeOf, preparationWords, valuesOf } from "./run-pixels.js";

const SHOWN = 112;
const WHOLE = /^U?INT/;

/**
 * Return the control that takes a picture.
 *
 * @param {import("./run-inputs.js").Plan & {preparation:
 *   import("./run-pixels.js").Preparation}} plan
 * @param {number} index of the input
 * @param {() => void} onChange
 * @returns {import("./run-view.js").Control & {take: (file: Blob) => Promise<void>,
 *   forget: () => void}}
 */
export function pictureControl(plan, index, onChange) {
  let rgba = null;
  const { rows, columns } = plan.preparation.grid;
  const given = `What the model is given: ${columns} by ${rows} pixels`;
  const canvas = el("canvas", {
    ...{ class: "picture", width: columns, height: rows, role: "img", "aria-label": given },
  });
  canvas.classList.toggle("small", Math.max(rows, columns) < SHOWN);
  const shown = el("figure", { class: "given", hidden: true }, canvas, el("figcaption", {}, given));
  const said = el("p", { class: "callout bad", role: "alert", hidden: true });
  const take = async (file) => {
    said.hidden = true;
    try {
      rgba = await pixelsOf(file, canvas, plan.preparation);
      shown.hidden = false;
      onChange();
    } catch (error) {
      said.textContent = error.message;
      said.hidden = false;
    }
  };
  const id = `picture-${index}`;
  const input = el("input", {
    ...{ class: "visually-hidden", type: "file", id, accept: "image/*" },
    onchange: ({ target }) => target.files[0] && void take(target.files[0]),
  });
  const label = el("label", { class: "button", for: id }, "Choose a picture");
  const choose = el("div", { class: "choose" }, input, label);
  const hint = el("p", { class: "hint" }, preparationWords(plan.preparation));
  return {
    element: el("div", { class: "stack stack-sm" }, choose, shown, said, hint),
    take,
    forget: () => {
      rgba = null;
      shown.hidden = true;
      input.value = "";
    },
    tensor: () => {
      if (!rgba) throw new FormatError(`"${plan.name}" has no picture yet.`);
      const data = valuesOf(plan.preparation, rgba, WHOLE.test(plan.datatype));
      return { name: plan.name, datatype: plan.datatype, shape: plan.shape, data };
    },
  };
}

async function pixelsOf(file, canvas, how) {
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch {
    throw new FormatError("The browser cannot read this file as a picture.");
  }
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const { width, height } = canvas;
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  const at = placeOf(how, picture);
  context.drawImage(picture, at.x, at.y, at.width, at.height);
  picture.close();
  return context.getImageData(0, 0, width, height).data;
}
