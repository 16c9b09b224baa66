// An answer in words, bars, tables and pictures. The exact numbers stay beside it as JSON.

const FLOATS = new Set(["FP16", "BF16", "FP32", "FP64"]);
const MOST_BARS = 20;
const MOST_SCORES = 10_000;
const MOST_RAW = 2_000; // characters of a tensor that is shown as it is
const [MOST_ROWS, MOST_COLUMNS] = [50, 20];
const [LEAST_SIDE, MOST_SIDE] = [16, 1_024]; // of what is taken for a picture

/**
 * @typedef {{name: string, datatype: string, shape: number[], data?: unknown[]}} Output
 * @typedef {{label: string, value: number, share: number, words: string, best: boolean}} Bar
 *   `share` is the length of the bar, 0 to 1
 * @typedef {{kind: "scores", name: string, probabilities: boolean, bars: Bar[], left: number}
 *   | {kind: "value", name: string, words: string, unit: string}
 *   | {kind: "table", name: string, heads: string[], rows: string[][], left: string}
 *   | {kind: "picture", name: string, columns: number, rows: number, words: string,
 *      rgba: Uint8ClampedArray<ArrayBuffer>}
 *   | {kind: "raw", name: string, words: string}} Reading `left` counts bars that are not shown
 */

/**
 * Read the outputs of an answer.
 *
 * @param {Output[]} outputs
 * @param {import("./run-inputs.js").Hints} [hints]
 * @returns {Reading[]} in the order of the model, scores first
 */
export function readOutputs(outputs, hints = {}) {
  const readings = outputs.map((output) => readOutput(output, hints));
  const rank = { picture: 0, scores: 1, value: 2, table: 3, raw: 4 };
  return readings.sort((left, right) => rank[left.kind] - rank[right.kind]);
}

/**
 * Return a number with at most six significant digits.
 *
 * @param {number} value
 * @returns {string}
 */
export function formatNumber(value) {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)));
}

function readOutput({ name, datatype, shape, data }, hints) {
  if (!Array.isArray(data)) return raw(name, `${datatype} [${shape}], sent as bytes`);
  const flat = data.flat(Infinity);
  const meant = hints.output?.name === name ? hints.output : {};
  const numbers = flat.every((value) => typeof value === "number" && Number.isFinite(value));
  const layout = numbers && pictureLayout(shape, meant);
  if (layout) return readPicture(name, flat, layout, meant.range);
  const row = shape.at(-1) === flat.length;
  const scores = FLOATS.has(datatype) && numbers && row && flat.length > 1;
  if (scores && flat.length <= MOST_SCORES) return readScores(name, flat, hints.labels);
  if (flat.length === 1) {
    const words = wordOf(flat[0], datatype, hints.labels);
    return { kind: "value", name, words, unit: String(meant.unit ?? "") };
  }
  if (shape.length === 2 && flat.length > 0) return readTable(name, flat, shape, hints.labels);
  return raw(name, JSON.stringify(data));
}

/** A picture is [1, c, h, w], [1, h, w, c] or [h, w, c]; a small one only if the card says so. */
function pictureLayout(shape, { kind }) {
  if (kind !== undefined && kind !== "image") return null;
  const sizes = shape.length === 4 && shape[0] === 1 ? shape.slice(1) : shape;
  const least = kind === "image" ? 1 : LEAST_SIDE;
  const side = (size) => size >= least && size <= MOST_SIDE;
  const [a, b, c] = sizes;
  if (sizes.length !== 3) return null;
  if ((a === 1 || a === 3) && side(b) && side(c)) return { rows: b, columns: c, channels: a };
  const last = (c === 1 || c === 3) && side(a) && side(b);
  return last ? { rows: a, columns: b, channels: c, last: true } : null;
}

function readPicture(name, flat, { rows, columns, channels, last }, range) {
  const declared = Array.isArray(range) && range.length === 2 ? range.map(Number) : null;
  const ends = (low, high, value) => [Math.min(low, value), Math.max(high, value)];
  const [low, high] =
    declared ?? flat.reduce(([low, high], value) => ends(low, high, value), [Infinity, -Infinity]);
  const count = rows * columns;
  const rgba = new Uint8ClampedArray(count * 4).fill(255);
  for (let pixel = 0; pixel < count; pixel += 1) {
    for (let colour = 0; colour < 3; colour += 1) {
      const channel = channels === 3 ? colour : 0;
      const value = flat[last ? pixel * channels + channel : channel * count + pixel];
      rgba[pixel * 4 + colour] = high === low ? 0 : ((value - low) / (high - low)) * 255;
    }
  }
  const [black, white] = [low, high].map(formatNumber);
  const whose = declared ? "as the card says" : "its least and largest values";
  const words = `${columns} by ${rows}: ${black} is shown black, ${white} white (${whose})`;
  return { kind: "picture", name, columns, rows, rgba, words };
}

function readTable(name, flat, [rows, columns], labels) {
  const shownColumns = Math.min(columns, MOST_COLUMNS);
  const shown = Array.from({ length: Math.min(rows, MOST_ROWS) }, (_, row) =>
    flat.slice(row * columns, row * columns + shownColumns).map((value) => {
      return typeof value === "number" ? formatNumber(value) : String(value);
    }),
  );
  const heads = Array.from({ length: shownColumns }, (_, at) => labelAt(labels, at, columns));
  const cut = rows > MOST_ROWS || columns > MOST_COLUMNS;
  const left = cut ? `of ${rows} rows and ${columns} columns` : "";
  return { kind: "table", name, heads, rows: shown, left };
}

function readScores(name, values, labels) {
  const sum = values.reduce((total, value) => total + value, 0);
  const probabilities = values.every((value) => value >= 0 && value <= 1) && near(sum, 1);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const lengthOf = (value) => (high === low ? 1 : (value - low) / (high - low));
  const best = values.indexOf(high);
  const all = values.map((value, index) => ({
    label: labelAt(labels, index, values.length),
    value,
    share: probabilities ? value : lengthOf(value),
    words: probabilities ? `${(value * 100).toFixed(1)} %` : formatNumber(value),
    best: index === best,
  }));
  if (all.length <= MOST_BARS) return { kind: "scores", name, probabilities, bars: all, left: 0 };
  const bars = all.sort((left, right) => right.value - left.value).slice(0, MOST_BARS);
  return { kind: "scores", name, probabilities, bars, left: all.length - MOST_BARS };
}

function wordOf(value, datatype, labels) {
  if (typeof value !== "number") return String(value);
  if (FLOATS.has(datatype)) return formatNumber(value);
  const label = Array.isArray(labels) && value >= 0 ? labels[value] : undefined;
  return label === undefined ? String(value) : String(label);
}

function labelAt(labels, index, count) {
  return Array.isArray(labels) && labels.length === count ? String(labels[index]) : String(index);
}

function near(left, right) {
  return Math.abs(left - right) < 0.01;
}

function raw(name, words) {
  const short = words.length > MOST_RAW ? `${words.slice(0, MOST_RAW)}…` : words;
  return { kind: "raw", name, words: short };
}
