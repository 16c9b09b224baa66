// How a reader gives each input of a model: by drawing, in fields, as text, or as JSON.

import { FormatError } from "./assay/errors.js";
import { isLarge, parseExact } from "./exact-json.js";
import { preparationOf } from "./run-pixels.js";

const MOST_FIELDS = 64;
const LARGEST_SIDE = 64;
const LARGEST_PICTURE = 2_048;
export const MOST_SHOWN = 4_096; // values of a tensor that the text of a request holds
const INTEGERS = /^U?INT(8|16|32|64)$/;
const FLOATS = /^FP(32|64)$/;

/**
 * @typedef {{name: string, datatype: string, shape: number[]}} Input `-1` is a free dimension
 * @typedef {{name: string, datatype: string, shape: number[], data: unknown[]}} JsonTensor
 * @typedef {{input?: {kind?: string, name?: string, size?: number[], range?: number[],
 *   fit?: string, invert?: boolean, channels?: string, mean?: unknown, std?: unknown,
 *   example?: unknown[]}, about?: string, features?: unknown[], labels?: unknown[], examples?: any[],
 *   output?: {kind?: string, name?: string, unit?: string, range?: number[]}}} Hints the card's
 *   `assay` block
 */

/**
 * @typedef {object} Plan
 * @property {"drawing" | "image" | "fields" | "json" | "unsupported"} kind
 * @property {string} name
 * @property {string} datatype
 * @property {number[]} shape without free dimensions
 * @property {{columns: number, rows: number}} [grid] of a drawing or picture
 * @property {number} [channels] of a drawing or picture
 * @property {boolean} [channelsLast] of a drawing or picture
 * @property {[number, number]} [range] of a drawing or picture
 * @property {import("./run-pixels.js").Preparation} [preparation] of a drawing or picture
 * @property {{label: string, value: string}[]} [fields] one per element
 */

/**
 * Choose how an input is given. The card's hints help; without them the shape decides.
 *
 * @param {Input} input
 * @param {Hints} [hints]
 * @returns {Plan}
 */
export function planInput({ name, datatype, shape }, hints = {}) {
  const meant = hints.input && (!hints.input.name || hints.input.name === name) ? hints.input : {};
  const fixed = fixedShape(shape ?? [], meant);
  const plan = { kind: "json", name, datatype, shape: fixed };
  if (datatype === "FP16" || datatype === "BF16") return { ...plan, kind: "unsupported" };
  const picture = isNumber(datatype) && planPicture(plan, meant);
  if (picture) return picture;
  const count = fixed.reduce((product, dimension) => product * dimension, 1);
  if (count < 1 || count > MOST_FIELDS || fixed.length > 2) return plan;
  const names = Array.isArray(hints.features) && hints.features.length === count;
  const example = exampleOf(name, meant, hints.examples);
  const fields = Array.from({ length: count }, (_, index) => ({
    label: names ? String(hints.features[index]) : labelOf(name, count, index),
    value: example.length === count ? String(example[index]) : "",
  }));
  return { ...plan, kind: "fields", fields };
}

/** The values that the fields begin with: the card's example, else the first of its list. */
function exampleOf(name, { example }, examples) {
  const [first] = Array.isArray(examples) ? examples : [];
  const values = example ?? first?.inputs?.[name] ?? first?.values;
  return Array.isArray(values) ? values.flat(9) : [];
}

/** A free dimension is 1, but for the sides of a picture whose size the card declares. */
function fixedShape(shape, { kind, size }) {
  const free = (at) => shape[at] < 0;
  const sides = kind === "image" && isSize(size) && shape.length === 4 ? size : null;
  const first = sides && (free(2) && free(3) ? 2 : free(1) && free(2) ? 1 : -1);
  return shape.map((dimension, at) => {
    if (dimension >= 0) return dimension;
    return sides && first > 0 && (at === first || at === first + 1) ? sides[at - first] : 1;
  });
}

/**
 * Return what paper and ink become: a drawing is black on white, as a picture of one is.
 *
 * @param {Plan} plan
 * @returns {[number, number]}
 */
export function inkRange({ range: [black, white], preparation }) {
  return preparation.invert ? [black, white] : [white, black];
}

/**
 * Return the tensor of a drawing.
 *
 * @param {Plan} plan
 * @param {ArrayLike<number>} values one per cell of the grid, from paper to ink (`inkRange`)
 * @returns {JsonTensor}
 */
export function tensorOfDrawing(plan, values) {
  const { name, datatype, shape, channels, channelsLast, preparation } = plan;
  const { mean, std } = preparation;
  const one = (value, channel) => {
    const moved = (value - mean[channel]) / std[channel];
    return FLOATS.test(datatype) ? moved : Math.round(moved);
  };
  const each = Array.from({ length: channels }, (_, channel) => channel);
  const cells = Array.from(values);
  const data = channelsLast
    ? cells.flatMap((value) => each.map((channel) => one(value, channel)))
    : each.flatMap((channel) => cells.map((value) => one(value, channel)));
  return { name, datatype, shape, data };
}

/**
 * Return how much ink each value of a drawing's tensor is, 0 to 1: the way back, of one channel.
 *
 * @param {Plan} plan
 * @param {number[]} data
 * @returns {number[]}
 */
export function inkOf(plan, data) {
  const [paper, ink] = inkRange(plan);
  const { mean, std } = plan.preparation;
  const share = (value) => (value * std[0] + mean[0] - paper) / (ink - paper || 1);
  return data.map((value) => Math.min(1, Math.max(0, share(value))));
}

/**
 * Return the tensor of the fields' texts.
 *
 * @param {Plan} plan
 * @param {string[]} texts one per field
 * @returns {JsonTensor}
 * @throws {FormatError} a text that is no value of the datatype; the message names the field
 */
export function tensorOfFields({ name, datatype, shape, fields }, texts) {
  const data = texts.map((text, index) => parseElement(text, datatype, fields[index].label));
  return { name, datatype, shape, data };
}

/**
 * Return the request as the reader sees and may edit it: JSON, one input a line.
 *
 * @param {JsonTensor[]} tensors
 * @param {number} [most] values of a tensor; in the place of more stands how many there are
 * @returns {string}
 */
export function renderRequest(tensors, most = Infinity) {
  const lines = tensors.map((tensor) => {
    const long = tensor.data.length > most;
    const { data, ...head } = tensor;
    const text = long ? JSON.stringify(`${data.length} values, not shown`) : dataText(tensor);
    return `  ${JSON.stringify(head).slice(0, -1)}${text && `,"data":${text}`}}`;
  });
  return `{"inputs": [\n${lines.join(",\n")}\n]}`;
}

/** The values as JSON. JSON.stringify would lose the sign of a zero, and knows no large integers. */
function dataText({ datatype, data }) {
  const whole = JSON.stringify(data) ?? "";
  const number = INTEGERS.test(datatype) || FLOATS.test(datatype);
  if (!number || !Array.isArray(data)) return whole;
  const flat = data.flat(Infinity);
  if (!flat.some((value) => isLarge(value) || Object.is(value, -0))) return whole;
  return arrayText(data, FLOATS.test(datatype) ? "-0.0" : "0");
}

function arrayText(value, zero) {
  if (Array.isArray(value)) return `[${value.map((item) => arrayText(item, zero)).join(",")}]`;
  if (Object.is(value, -0)) return zero;
  return isLarge(value) ? value : (JSON.stringify(value) ?? "null");
}

/**
 * Read what the reader may have edited: a request, or its array of inputs alone.
 *
 * @param {string} text
 * @returns {{inputs: JsonTensor[]}}
 * @throws {FormatError} not JSON, or without inputs
 */
export function parseRequest(text) {
  let value;
  try {
    value = parseExact(text);
  } catch (error) {
    throw new FormatError(`The request is not JSON: ${error.message}`);
  }
  const request = Array.isArray(value) ? { inputs: value } : value;
  if (!Array.isArray(request?.inputs)) throw new FormatError('The request has no "inputs".');
  const odd = request.inputs.findIndex((item) => typeof item !== "object" || item === null);
  if (odd >= 0) throw new FormatError(`Input ${odd} of the request is no object.`);
  return request;
}

function planPicture(plan, meant) {
  const layout = imageLayout(plan.shape);
  if (meant.kind === "drawing" || meant.kind === "image") {
    const [rows, columns] = isSize(meant.size) ? meant.size : [layout?.rows, layout?.columns];
    const count = plan.shape.reduce((product, dimension) => product * dimension, 1);
    const channels = count / (rows * columns);
    if (channels !== 1 && channels !== 3) return null;
    const channelsLast = channels === 3 && plan.shape.at(-1) === 3;
    return picture(plan, { rows, columns, channels, channelsLast }, meant);
  }
  return meant.kind || !layout ? null : picture(plan, layout, {});
}

/** A small picture is drawn, unless the card says that it is a photograph. */
function picture(plan, { rows, columns, channels, channelsLast }, meant) {
  const { range, kind } = meant;
  const usual = plan.datatype === "UINT8" ? [0, 255] : [0, 1];
  const given = Array.isArray(range) && range.length === 2 ? range.map(Number) : usual;
  const made = { ...plan, grid: { rows, columns }, channels, channelsLast, range: given };
  const small = Math.max(rows, columns) <= LARGEST_SIDE;
  const drawn = kind ? kind === "drawing" : small;
  const preparation = preparationOf(made, { ...meant, kind: drawn ? "drawing" : "image" });
  return { ...made, kind: drawn ? "drawing" : "image", preparation };
}

function isSize(size) {
  const whole = (side) => Number.isInteger(side) && side > 0 && side <= LARGEST_PICTURE;
  return Array.isArray(size) && size.length === 2 && size.every(whole);
}

/** Return the layout of a picture, [1, c, h, w] or [1, h, w, c]; null for anything else. */
function imageLayout(shape) {
  if (shape.length !== 4 || shape[0] !== 1) return null;
  const side = (size) => size > 1 && size <= LARGEST_PICTURE;
  const [, a, b, c] = shape;
  if ((a === 1 || a === 3) && side(b) && side(c)) {
    return { channels: a, rows: b, columns: c, channelsLast: false };
  }
  if ((c === 1 || c === 3) && side(a) && side(b)) {
    return { channels: c, rows: a, columns: b, channelsLast: true };
  }
  return null;
}

function parseElement(text, datatype, label) {
  const given = text.trim();
  if (datatype === "BYTES") return text;
  if (given === "") throw new FormatError(`"${label}" is empty.`);
  if (datatype === "BOOL") {
    if (/^(true|1)$/i.test(given)) return true;
    if (/^(false|0)$/i.test(given)) return false;
    throw new FormatError(`"${label}" is neither true nor false.`);
  }
  const value = Number(given);
  if (!Number.isFinite(value)) throw new FormatError(`"${label}" is not a number.`);
  if (INTEGERS.test(datatype) && !Number.isSafeInteger(value)) {
    throw new FormatError(`"${label}" is not an integer up to 2^53; write larger ones as JSON.`);
  }
  return value;
}

function labelOf(name, count, index) {
  return count === 1 ? name : `${name} ${index}`;
}

function isNumber(datatype) {
  return INTEGERS.test(datatype) || FLOATS.test(datatype);
}
