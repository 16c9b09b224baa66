// Which files beside the graph an ONNX model reads: the locations of its external data.
//
// The walk of `assay.replay.onnx_data` over protobuf's wire format, along the fields that lead to a
// tensor. Nothing is allocated by what a length says; the result may name more files than the
// runtime opens, never fewer.

import { FormatError } from "../assay/errors.js";
import { compareCodePoints } from "../assay/manifest.js";

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;
const DEPTH = 200;
// Message: field number to the message in it (onnx.proto, IR version 13).
const MESSAGES = {
  model: { 7: "graph", 20: "training", 25: "function" },
  training: { 1: "graph", 2: "graph" },
  function: { 7: "node", 11: "attribute" },
  graph: { 1: "node", 5: "tensor", 15: "sparse" },
  node: { 5: "attribute" },
  attribute: { 5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse" },
  sparse: { 1: "tensor", 2: "tensor" },
  tensor: { 13: "entry" },
};

/**
 * Return the locations of external data that a model names, sorted, each once.
 *
 * @param {Uint8Array} graph
 * @returns {string[]}
 * @throws {FormatError} not protobuf, or nested too deep
 */
export function externalLocations(graph) {
  const found = new Set();
  walk(graph, "model", found, 0);
  return [...found].sort(compareCodePoints);
}

/**
 * Return the path in the model folder that a graph at `graphPath` means by `location`.
 *
 * @param {string} graphPath
 * @param {string} location
 * @returns {string} normal, and possibly outside the folder: `checkPath` refuses that
 */
export function pathOfLocation(graphPath, location) {
  if (location.startsWith("/")) return location;
  const segments = graphPath.split("/").slice(0, -1);
  for (const segment of location.split("/")) {
    if (segment === "" || segment === ".") continue;
    if (segment === ".." && segments.length > 0 && segments.at(-1) !== "..") segments.pop();
    else segments.push(segment);
  }
  return segments.join("/");
}

function walk(data, message, found, depth) {
  if (depth > DEPTH) throw new FormatError("the model is nested too deep");
  if (message === "entry") {
    const pair = new Map(fields(data));
    if (text(pair.get(1) ?? new Uint8Array()) === "location") {
      found.add(text(pair.get(2) ?? new Uint8Array()));
    }
    return;
  }
  const inner = MESSAGES[message];
  for (const [number, value] of fields(data)) {
    if (number in inner) walk(value, inner[number], found, depth + 1);
  }
}

function text(data) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    throw new FormatError("a location is not UTF-8");
  }
}

/** Yield [number, bytes] of the length-delimited fields; step over the others. */
function* fields(data) {
  let offset = 0;
  while (offset < data.length) {
    const [tag, after] = varint(data, offset);
    const [number, wire] = [Math.floor(tag / 8), tag % 8];
    let begin = after;
    let end = after;
    if (wire === VARINT) [, end] = varint(data, after);
    else if (wire === FIXED64) end = after + 8;
    else if (wire === FIXED32) end = after + 4;
    else if (wire === BYTES) {
      const [length, start] = varint(data, after);
      [begin, end] = [start, start + length];
    } else throw new FormatError(`the model has a field of wire type ${wire}`);
    if (end > data.length) throw new FormatError("the model ends inside a field");
    if (wire === BYTES) yield [number, data.subarray(begin, end)];
    offset = end;
  }
}

/** Return a number, exact below 2^53 (larger ones lie beyond every file), and where it ends. */
function varint(data, offset) {
  let value = 0;
  for (let place = 0; place < 10; place += 1) {
    if (offset + place >= data.length) throw new FormatError("the model ends inside a number");
    const byte = data[offset + place];
    value += (byte & 0x7f) * 2 ** (7 * place);
    if (byte < 0x80) return [value, offset + place + 1];
  }
  throw new FormatError("the model has a number of more than 64 bits");
}
