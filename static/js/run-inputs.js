// How a reader gives each input of a model: by drawing, in fields, as text, or as JSON.

import { FormatError } from "./assay/errors.js";

const MOST_FIELDS = 64;
const LARGEST_SIDE = 64;
const INTEGERS = /^U?INT(8|16|32|64)$/;
const FLOATS = /^FP(32|64)$/;

/**
 * @typedef {{name: string, datatype: string, shape: number[]}} Input `-1` is a free dimension
 * @typedef {{name: string, datatype: string, shape: number[], data: unknown[]}} JsonTensor
 * @typedef {{input?: {kind?: string, name?: string, size?: number[], range?: number[],
 *   example?: unknown[]}, features?: unknown[], labels?: unknown[],
 *   output?: {kind?: string, name?: string, unit?: string}}} Hints the card's `assay` block
 */

/**
 * @typedef {object} Plan
 * @property {"drawing" | "fields" | "json" | "unsupported"} kind
 * @property {string} name
 * @property {string} datatype
 * @property {number[]} shape without free dimensions
 * @property {{columns: number, rows: number}} [grid] of a drawing
 * @property {number} [channels] of a drawing
 * @property {boolean} [channelsLast] of a drawing
 * @property {[number, number]} [range] of a drawing
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
  const fixed = (shape ?? []).map((dimension) => (dimension >= 0 ? dimension : 1));
  const plan = { kind: "json", name, datatype, shape: fixed };
  if (datatype === "FP16" || datatype === "BF16") return { ...plan, kind: "unsupported" };
  const meant = hints.input && (!hints.input.name || hints.input.name === name) ? hints.input : {};
  const drawing = isNumber(datatype) && planDrawing(plan, meant);
  if (drawing) return drawing;
  const count = fixed.reduce((product, dimension) => product * dimension, 1);
  if (count < 1 || count > MOST_FIELDS || fixed.length > 2) return plan;
  const names = Array.isArray(hints.features) && hints.features.length === count;
  const example = Array.isArray(meant.example) ? meant.example.flat(9) : [];
  const fields = Array.from({ length: count }, (_, index) => ({
    label: names ? String(hints.features[index]) : labelOf(name, count, index),
    value: example.length === count ? String(example[index]) : "",
  }));
  return { ...plan, kind: "fields", fields };
}

/**
 * Return the tensor of a drawing.
 *
 * @param {Plan} plan
 * @param {ArrayLike<number>} values one per cell of the grid
 * @returns {JsonTensor}
 */
export function tensorOfDrawing({ name, datatype, shape, channels, channelsLast }, values) {
  const cells = Array.from(values, (value) => (FLOATS.test(datatype) ? value : Math.round(value)));
  const repeat = Array.from({ length: channels }, () => 0);
  const data = channelsLast
    ? cells.flatMap((value) => repeat.map(() => value))
    : repeat.flatMap(() => cells);
  return { name, datatype, shape, data };
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
 * @returns {string}
 */
export function renderRequest(tensors) {
  const lines = tensors.map((tensor) => `  ${JSON.stringify(tensor)}`);
  return `{"inputs": [\n${lines.join(",\n")}\n]}`;
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
    value = JSON.parse(text);
  } catch (error) {
    throw new FormatError(`The request is not JSON: ${error.message}`);
  }
  const request = Array.isArray(value) ? { inputs: value } : value;
  if (!Array.isArray(request?.inputs)) throw new FormatError('The request has no "inputs".');
  return request;
}

function planDrawing(plan, meant) {
  const layout = imageLayout(plan.shape);
  if (meant.kind === "drawing") {
    const [rows, columns] = meant.size ?? [layout?.rows, layout?.columns];
    const count = plan.shape.reduce((product, dimension) => product * dimension, 1);
    const channels = count / (rows * columns);
    if (channels !== 1 && channels !== 3) return null;
    const channelsLast = channels === 3 && plan.shape.at(-1) === 3;
    return drawing(plan, { rows, columns, channels, channelsLast }, meant.range);
  }
  return meant.kind || !layout ? null : drawing(plan, layout);
}

function drawing(plan, { rows, columns, channels, channelsLast }, range) {
  const usual = plan.datatype === "UINT8" ? [0, 255] : [0, 1];
  return {
    ...plan,
    kind: "drawing",
    grid: { rows, columns },
    channels,
    channelsLast,
    range: Array.isArray(range) && range.length === 2 ? range.map(Number) : usual,
  };
}

/** Return the layout of a small picture, [1, c, h, w] or [1, h, w, c]; null for anything else. */
function imageLayout(shape) {
  if (shape.length !== 4 || shape[0] !== 1) return null;
  const small = (side) => side > 1 && side <= LARGEST_SIDE;
  const [, a, b, c] = shape;
  if ((a === 1 || a === 3) && small(b) && small(c)) {
    return { channels: a, rows: b, columns: c, channelsLast: false };
  }
  if ((c === 1 || c === 3) && small(a) && small(b)) {
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
