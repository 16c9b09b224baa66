// Tensors of the Open Inference Protocol's JSON as the bytes that get hashed.

import { FormatError } from "./errors.js";
import { DATATYPES, elementCount, encodeBytes } from "./tensors.js";

const WRITERS = {
  INT8: "setInt8",
  INT16: "setInt16",
  INT32: "setInt32",
  UINT8: "setUint8",
  UINT16: "setUint16",
  UINT32: "setUint32",
  FP32: "setFloat32",
  FP64: "setFloat64",
};
const TEXT = /^-?[1-9]\d{15,}$/; // an integer beyond 2^53, which no number holds

/**
 * Return the tensor that JSON spells, its data little-endian and row-major. An integer beyond 2^53
 * may come as a text of its digits.
 *
 * @param {{name: string, datatype: string, shape: number[], data?: unknown[]}} value
 * @returns {import("./tensors.js").Tensor}
 * @throws {FormatError} no data, no shape, another count, an element of another type, a datatype that JSON
 *   does not carry (FP16, BF16), an integer that JSON.parse may have rounded, a value out of the
 *   datatype's range
 */
export function tensorFromJson({ name, datatype, shape, data }) {
  if (!Array.isArray(data)) throw new FormatError("has no data in JSON", name);
  if (!Array.isArray(shape)) throw new FormatError("has no shape", name);
  const flat = data.flat(Infinity);
  if (flat.length !== elementCount(shape)) {
    throw new FormatError(`has ${flat.length} elements, not those of [${shape}]`, name);
  }
  return { name, datatype, shape, data: encode(flat, datatype, name) };
}

function encode(flat, datatype, name) {
  if (datatype === "BYTES") return encodeBytes(flat.map((item) => checked(item, "string", name)));
  const size = DATATYPES[datatype];
  const big = datatype === "INT64" || datatype === "UINT64";
  if (!size || (!WRITERS[datatype] && !big && datatype !== "BOOL")) {
    throw new FormatError(`${datatype} is not carried by JSON`, name);
  }
  const bytes = new Uint8Array(flat.length * size);
  const view = new DataView(bytes.buffer);
  const float = datatype.startsWith("FP");
  flat.forEach((item, index) => {
    const at = index * size;
    if (datatype === "BOOL") bytes[at] = Number(checked(item, "boolean", name));
    else if (float) view[WRITERS[datatype]](at, number(item, datatype, name), true);
    else if (big) view.setBigInt64(at, integer(item, datatype, name), true);
    else view[WRITERS[datatype]](at, Number(integer(item, datatype, name)), true);
  });
  return bytes;
}

function checked(item, type, name) {
  if (typeof item !== type) throw new FormatError(`holds something that is no ${type}`, name);
  return item;
}

function number(item, datatype, name) {
  const value = TEXT.test(item) ? Number(item) : checked(item, "number", name);
  if (!Number.isFinite(value)) throw new FormatError("is not finite", name);
  if (datatype === "FP32" && !Number.isFinite(Math.fround(value))) throw outOfRange(datatype, name);
  return value;
}

function integer(item, datatype, name) {
  const text = typeof item === "string" && TEXT.test(item);
  if (!text && !Number.isSafeInteger(checked(item, "number", name))) {
    throw new FormatError("holds an integer that JSON.parse may have rounded", name);
  }
  const value = BigInt(item);
  const bits = 8 * DATATYPES[datatype];
  // The same writer takes both kinds of 64 bits: the range is what tells them apart.
  const kept = datatype.startsWith("U") ? BigInt.asUintN(bits, value) : BigInt.asIntN(bits, value);
  if (kept !== value) throw outOfRange(datatype, name);
  return value;
}

function outOfRange(datatype, name) {
  return new FormatError(`holds a value out of the range of ${datatype}`, name);
}
