// A graph's skeleton as boxes and the lines between them.

import { FormatError } from "../assay/errors.js";

const FORMAT = "assay-graph-skeleton-v1";

/**
 * @typedef {{name: string, datatype: string, shape: (number | string)[] | null,
 *   weight: boolean}} Value
 * @typedef {{value: Value, boxes: number[]}} Port a value, and the boxes at its other end
 */
/**
 * @typedef {object} Box
 * @property {"input" | "node" | "output"} kind
 * @property {string} title the operator, or the name of an input or output
 * @property {string} subtitle
 * @property {string} name
 * @property {string} domain
 * @property {Port[]} inputs
 * @property {Port[]} outputs
 * @property {[string, string][]} attributes
 * @property {number} inner nodes of the graphs that it holds
 * @property {boolean} calls whether it calls a function of the model
 * @property {boolean} weighted whether it reads a weight
 */

/**
 * @param {any} skeleton as the server sent it
 * @returns {{boxes: Box[], lines: {from: number, to: number, value: Value}[]}}
 * @throws {FormatError} not a skeleton that is known here
 */
export function boxesOf(skeleton) {
  if (skeleton?.format !== FORMAT) throw new FormatError(`is no ${FORMAT}`, "format");
  const { values, nodes, inputs, outputs } = skeleton;
  const boxes = [
    ...inputs.map((number) => endBox("input", values[number])),
    ...nodes.map((node) => nodeBox(node, values)),
    ...outputs.map((number) => endBox("output", values[number])),
  ];
  const made = new Map(inputs.map((number, at) => [number, at])); // value to the box that gives it
  nodes.forEach((node, at) => {
    for (const number of node.outputs) if (number !== null) made.set(number, inputs.length + at);
  });
  const lines = [];
  const join = (number, to, place) => {
    const from = made.get(number);
    if (from === undefined || from === to) return;
    lines.push({ from, to, value: values[number] });
    const given = boxes[from].outputs.find(({ value }) => value === values[number]);
    if (!given?.boxes.includes(to)) given?.boxes.push(to);
    boxes[to].inputs[place].boxes.push(from);
  };
  nodes.forEach((node, at) => {
    const given = node.inputs.filter((number) => number !== null);
    given.forEach((number, place) => join(number, inputs.length + at, place));
  });
  outputs.forEach((number, at) => join(number, inputs.length + nodes.length + at, 0));
  return { boxes, lines };
}

/**
 * Return a datatype and a shape as people write them: `FP32 N × 3`.
 *
 * @param {Value} value
 * @returns {string}
 */
export function typeWords({ datatype, shape }) {
  return [datatype, shape ? shapeWords(shape) : ""].filter(Boolean).join(" ");
}

function shapeWords(shape) {
  return shape.length ? shape.map((size) => (size === -1 ? "?" : size)).join(" × ") : "scalar";
}

function endBox(kind, value) {
  const port = [{ value, boxes: [] }];
  const ends = kind === "input" ? { inputs: [], outputs: port } : { inputs: port, outputs: [] };
  const none = { attributes: [], inner: 0, calls: false, weighted: false, domain: "" };
  const { name } = value;
  return { kind, title: name, subtitle: typeWords(value), name, ...none, ...ends };
}

function nodeBox(node, values) {
  const ports = (numbers) =>
    numbers
      .filter((number) => number !== null)
      .map((number) => ({ value: values[number], boxes: [] }));
  const inputs = ports(node.inputs);
  const weights = inputs.map(({ value }) => value).filter(({ weight }) => weight);
  const largest = weights.find(({ shape }) => shape?.length > 1) ?? weights[0];
  return {
    kind: "node",
    title: node.op,
    subtitle: largest?.shape ? shapeWords(largest.shape) : node.name,
    name: node.name,
    domain: node.domain,
    inputs,
    outputs: ports(node.outputs),
    attributes: node.attributes,
    inner: node.inner,
    calls: node.function,
    weighted: weights.length > 0,
  };
}

/**
 * Return the numbers of the boxes that match what a reader typed, operators and names first.
 *
 * @param {Box[]} boxes
 * @param {string} typed words, all of which must be in operator, name or a value's name
 * @returns {number[]}
 */
export function find(boxes, typed) {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return [];
  const has = (text) => words.every((word) => text.toLowerCase().includes(word));
  const ranked = boxes.flatMap((box, at) => {
    const own = [box.title, box.name, box.domain].join(" ");
    const ports = [...box.inputs, ...box.outputs].map(({ value }) => value.name);
    if (has(own)) return [{ at, rank: 0 }];
    return has([own, ...ports].join(" ")) ? [{ at, rank: 1 }] : [];
  });
  return ranked.sort((left, right) => left.rank - right.rank).map(({ at }) => at);
}
