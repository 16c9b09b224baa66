// Tensors as JSON carries them, from the bytes that get hashed and from files that people have.

import { FormatError } from "./assay/errors.js";
import { decodeTensors, elementCount } from "./assay/tensors.js";
import { parseExact } from "./exact-json.js";

const MAGIC = "assay-tensors-v1\n";
const NPY = "\u0093NUMPY";
const MOST_EXAMPLES = 8;
const NPY_TYPES = {
  "|b1": "BOOL",
  "|i1": "INT8",
  "|u1": "UINT8",
  "<i2": "INT16",
  "<i4": "INT32",
  "<i8": "INT64",
  "<u2": "UINT16",
  "<u4": "UINT32",
  "<u8": "UINT64",
  "<f4": "FP32",
  "<f8": "FP64",
};
const READERS = {
  BOOL: (view, at) => view.getUint8(at) === 1,
  INT8: (view, at) => view.getInt8(at),
  UINT8: (view, at) => view.getUint8(at),
  INT16: (view, at) => view.getInt16(at, true),
  UINT16: (view, at) => view.getUint16(at, true),
  INT32: (view, at) => view.getInt32(at, true),
  UINT32: (view, at) => view.getUint32(at, true),
  INT64: (view, at) => safe(view.getBigInt64(at, true)),
  UINT64: (view, at) => safe(view.getBigUint64(at, true)),
  FP32: (view, at) => view.getFloat32(at, true),
  FP64: (view, at) => view.getFloat64(at, true),
};
const SIZES = { BOOL: 1, INT8: 1, UINT8: 1, INT16: 2, UINT16: 2, INT32: 4, UINT32: 4, FP32: 4 };

/**
 * Return a tensor with its values; without `data` where they have no form in JSON (FP16).
 *
 * @param {import("./assay/tensors.js").Tensor} tensor
 * @returns {import("./run-outputs.js").Output} an integer beyond 2^53 is a text
 */
export function withValues({ name, datatype, shape, data }) {
  const head = { name, datatype, shape: [...shape] };
  if (datatype === "BYTES") return { ...head, data: stringsOf(data) };
  const read = READERS[datatype];
  if (!read) return head;
  const size = SIZES[datatype] ?? 8;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const count = data.length / size;
  return { ...head, data: Array.from({ length: count }, (_, at) => read(view, at * size)) };
}

/**
 * Return the inputs in a file: `assay-tensors-v1`, JSON of the protocol, or an array of NumPy.
 *
 * @param {Uint8Array} bytes
 * @param {{name: string, datatype: string, shape: number[]}[]} inputs of the model
 * @returns {{inputs: import("./run-inputs.js").JsonTensor[]}}
 * @throws {FormatError} none of them, or values that JSON does not carry exactly
 */
export function readInputs(bytes, inputs) {
  const head = String.fromCharCode(...bytes.subarray(0, MAGIC.length));
  if (head === MAGIC) return { inputs: decodeTensors(bytes).map(exact) };
  if (head.startsWith(NPY)) return { inputs: [exact(npyOf(bytes, inputs))] };
  let value;
  try {
    value = parseExact(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new FormatError("It is neither tensors (assay-tensors-v1), nor JSON, nor a .npy array.");
  }
  return { inputs: fromJson(value, inputs) };
}

/** `{"inputs": […]}`, its array alone, or `{"<name>": values}` with the model's datatypes. */
function fromJson(value, inputs) {
  if (Array.isArray(value)) return value.map(tensorOnly);
  if (Array.isArray(value?.inputs)) return value.inputs.map(tensorOnly);
  const known = inputs.filter(({ name }) => Object.hasOwn(value ?? {}, name));
  if (known.length === 0 || known.length !== Object.keys(value).length) {
    throw new FormatError("The JSON has no “inputs”, and its names are not the model's.");
  }
  return known.map((input) => tensorOfValues(input, value[input.name]));
}

function tensorOnly(item, at) {
  const { name, datatype, shape, data } = item ?? {};
  const texts = typeof name === "string" && typeof datatype === "string";
  if (texts && Array.isArray(shape) && Array.isArray(data)) return item;
  throw new FormatError(`Item ${at} of the JSON is no tensor: name, datatype, shape and data.`);
}

/**
 * Return the tensor of nested lists: their own shape, or the model's where they are flat.
 *
 * @param {{name: string, datatype: string, shape: number[]}} input `-1` is a free dimension
 * @param {unknown} values
 * @returns {import("./run-inputs.js").JsonTensor}
 * @throws {FormatError} the lists do not fit the input's shape
 */
export function tensorOfValues({ name, datatype, shape }, values) {
  const nested = [];
  for (let part = values; Array.isArray(part); [part] = part) nested.push(part.length);
  const data = Array.isArray(values) ? values.flat(Infinity) : [values];
  const known = shape.filter((size) => size >= 0).reduce((product, size) => product * size, 1);
  const open = shape.filter((size) => size < 0).length;
  const rest = data.length / known;
  const filled = shape.map((size) => (size >= 0 ? size : open === 1 ? rest : 1));
  const fitting = nested.length === shape.length ? nested : filled;
  const same = fitting.every((size, at) => shape[at] < 0 || size === shape[at]);
  const whole = fitting.every(Number.isInteger);
  if (!same || !whole || fitting.reduce((product, size) => product * size, 1) !== data.length) {
    throw new FormatError(`"${name}" has ${data.length} values, which do not fit [${shape}].`);
  }
  return { name, datatype, shape: fitting, data };
}

/**
 * Return the examples of a card that fit the model: `examples`, each with a title and values by
 * input (or for the one that `input.name` names), and `input.example`.
 *
 * @param {import("./run-inputs.js").Hints} hints
 * @param {{name: string, datatype: string, shape: number[]}[]} inputs of the model
 * @returns {{title: string, inputs: import("./run-inputs.js").JsonTensor[]}[]}
 */
export function examplesOf(hints, inputs) {
  const given = Array.isArray(hints.examples) ? hints.examples : [];
  const own = hints.input?.example;
  const single = own ? [{ title: "The card's", values: own }] : [];
  const named = inputs.find(({ name }) => name === hints.input?.name) ?? inputs[0];
  const found = [...single, ...given].slice(0, MOST_EXAMPLES).flatMap((example, at) => {
    const byName = example?.inputs ?? { [named?.name]: example?.values };
    try {
      const tensors = inputs.map((input) => tensorOfValues(input, byName[input.name]));
      return [{ title: String(example.title ?? `Example ${at + 1}`), inputs: tensors }];
    } catch {
      return []; // it is of another model, or of another time
    }
  });
  // The one that stands in the fields may be in the list too, under its title there.
  const same = (example) => JSON.stringify(example.inputs) === JSON.stringify(found[0].inputs);
  return own && found.slice(1).some(same) ? found.slice(1) : found;
}

function npyOf(bytes, inputs) {
  const words = "The .npy array cannot be read";
  if (inputs.length !== 1) throw new FormatError("A .npy array is one input; the model has more.");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const long = bytes[6] > 1;
  const start = long ? 12 : 10;
  const end = start + (long ? view.getUint32(8, true) : view.getUint16(8, true));
  const header = String.fromCharCode(...bytes.subarray(start, Math.min(end, start + 65_536)));
  const found = (pattern) => pattern.exec(header)?.[1];
  const datatype = NPY_TYPES[found(/'descr': '([^']+)'/)];
  const shape = found(/'shape': \(([\d, ]*)\)/);
  if (!datatype || shape === undefined || !/'fortran_order': False/.test(header)) {
    throw new FormatError(`${words}: little-endian numbers in C order are taken.`);
  }
  const sizes = shape.split(",").map((part) => part.trim()).filter(Boolean).map(Number);
  const data = bytes.subarray(end);
  if (data.length !== elementCount(sizes) * (SIZES[datatype] ?? 8)) {
    throw new FormatError(`${words}: it ends early, or too late.`);
  }
  return { name: inputs[0].name, datatype, shape: sizes, data };
}

function exact(tensor) {
  const value = withValues(tensor);
  const { name, datatype } = value;
  if (!value.data) throw new FormatError(`"${name}" is ${datatype}: use \`assay run\`.`);
  if (/INT64$/.test(value.datatype) && value.data.some((item) => typeof item === "string")) {
    throw new FormatError(`"${value.name}" has integers beyond 2^53: use \`assay run\`.`);
  }
  if (value.data.some((item) => typeof item === "number" && !Number.isFinite(item))) {
    throw new FormatError(`"${value.name}" has a number that is not finite: use \`assay run\`.`);
  }
  return value;
}

function stringsOf(bytes) {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const strings = [];
  for (let offset = 0; offset < bytes.length; ) {
    const end = offset + 4 + view.getUint32(offset, true);
    strings.push(decoder.decode(bytes.subarray(offset + 4, end)));
    offset = end;
  }
  return strings;
}

function safe(value) {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : String(value);
}
