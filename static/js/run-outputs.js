// An answer in words and bars. The exact numbers stay beside it as JSON.

const FLOATS = new Set(["FP16", "BF16", "FP32", "FP64"]);
const MOST_BARS = 20;
const MOST_SCORES = 10_000;
const MOST_RAW = 2_000; // characters of a tensor that is shown as it is

/**
 * @typedef {{name: string, datatype: string, shape: number[], data?: unknown[]}} Output
 * @typedef {{label: string, value: number, share: number, words: string, best: boolean}} Bar
 *   `share` is the length of the bar, 0 to 1
 * @typedef {{kind: "scores", name: string, probabilities: boolean, bars: Bar[], left: number}
 *   | {kind: "value", name: string, words: string, unit: string}
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
  const rank = { scores: 0, value: 1, raw: 2 };
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
  const row = shape.at(-1) === flat.length;
  if (FLOATS.has(datatype) && row && flat.length > 1 && flat.length <= MOST_SCORES) {
    return readScores(name, flat, hints.labels);
  }
  if (flat.length === 1) {
    const words = wordOf(flat[0], datatype, hints.labels);
    return { kind: "value", name, words, unit: String(meant.unit ?? "") };
  }
  return raw(name, JSON.stringify(data));
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
