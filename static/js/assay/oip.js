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

/**
 * Return the tensor that JSON spells, its data little-endian and row-major.
 *
 * @param {{name: string, datatype: string, shape: number[], data?: unknown[]}} value
 * @returns {import("./tensors.js").Tensor}
 * @throws {FormatError} no data, another count, an element of another type, a datatype that JSON
 *   does not carry (FP16, BF16), an integer that JSON.parse may have rounded
 */
export function tensorFromJson({ name, datatype, shape, data }) {
  if (!Array.isArray(data)) throw new FormatError("has no data in JSON", name);
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
  flat.forEach((item, index) => {
    const at = index * size;
    if (datatype === "BOOL") bytes[at] = Number(checked(item, "boolean", name));
    else if (big) view.setBigInt64(at, BigInt(integer(item, name)), true);
    else if (datatype.startsWith("FP")) view[WRITERS[datatype]](at, number(item, name), true);
    else view[WRITERS[datatype]](at, integer(item, name), true);
  });
  return bytes;
}

function checked(item, type, name) {
  if (typeof item !== type) throw new FormatError(`holds something that is no ${type}`, name);
  return item;
}

function number(item, name) {
  if (!Number.isFinite(checked(item, "number", name))) throw new FormatError("is not finite", name);
  return item;
}

function integer(item, name) {
  if (!Number.isSafeInteger(checked(item, "number", name))) {
    throw new FormatError("holds an integer that JSON.parse may have rounded", name);
  }
  return item;
}
