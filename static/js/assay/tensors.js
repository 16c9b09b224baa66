// `assay-tensors-v1`: one byte string, and so one digest, for one set of named tensors.
//
//     assay-tensors-v1\n
//     {"tensors":[{"datatype":"FP32","name":"x","shape":[1,2]}]}\n
//     <bytes of each tensor, in that order>
//
// Tensors are sorted by name (code points). The bytes are the Open Inference Protocol's binary
// form. Every NaN is written as the quiet NaN of its type.

import { canonicalJson } from "./canonical.js";
import { concat, sha256Hex } from "./digests.js";
import { FormatError } from "./errors.js";
import { compareCodePoints } from "./manifest.js";

const encoder = new TextEncoder();
const MAGIC = encoder.encode("assay-tensors-v1\n");
const NEWLINE = encoder.encode("\n");
const LIMITS = Object.freeze({ tensors: 256, name: 4_096, rank: 16, bytes: 2 ** 31 - 1 });

/** Bytes of an element by datatype; null for BYTES, whose elements carry their length. */
export const DATATYPES = Object.freeze({
  BOOL: 1,
  INT8: 1,
  INT16: 2,
  INT32: 4,
  INT64: 8,
  UINT8: 1,
  UINT16: 2,
  UINT32: 4,
  UINT64: 8,
  FP16: 2,
  BF16: 2,
  FP32: 4,
  FP64: 8,
  BYTES: null,
});

// The bits without the sign: above `infinity` it is a NaN, which is then written as `quiet`.
const NANS = {
  FP16: { infinity: 0x7c00, quiet: 0x7e00 },
  BF16: { infinity: 0x7f80, quiet: 0x7fc0 },
  FP32: { infinity: 0x7f800000, quiet: 0x7fc00000 },
};

/**
 * @typedef {{name: string, datatype: string, shape: number[], data: Uint8Array}} Tensor
 *   `data` holds the product of `shape` elements, little-endian, row-major
 */

/**
 * Return the bytes of `tensors`, given in any order; NaNs are made canonical on the way.
 *
 * @param {Tensor[]} tensors
 * @returns {Uint8Array<ArrayBuffer>}
 * @throws {FormatError} a name twice, an unknown datatype, another number of bytes, a BOOL that is
 *   neither 0 nor 1, a BYTES element that is not UTF-8 or holds a NUL
 */
export function encodeTensors(tensors) {
  if (tensors.length > LIMITS.tensors) throw new FormatError(`more than ${LIMITS.tensors} tensors`);
  const ordered = [...tensors].sort((left, right) => compareCodePoints(left.name, right.name));
  ordered.forEach((tensor, index) => {
    if (index && ordered[index - 1].name === tensor.name) {
      throw new FormatError("the name stands twice", tensor.name);
    }
    checkTensor(tensor);
  });
  const headers = ordered.map(({ datatype, name, shape }) => ({ datatype, name, shape }));
  const header = canonicalJson({ tensors: headers });
  return concat([MAGIC, header, NEWLINE, ...ordered.map(canonicalNan)]);
}

/**
 * Return the tensor digest of a set: the hex SHA-256 of `encodeTensors(tensors)`.
 *
 * @param {Tensor[]} tensors
 * @returns {Promise<string>}
 */
export async function tensorDigest(tensors) {
  return sha256Hex(encodeTensors(tensors));
}

/**
 * Return the data of a BYTES tensor: each text behind its 4-byte little-endian length.
 *
 * @param {string[]} elements
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function encodeBytes(elements) {
  const parts = elements.flatMap((element) => {
    const text = encoder.encode(element);
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, text.length, true);
    return [length, text];
  });
  return concat(parts);
}

/**
 * Return the number of elements of `shape`; 1 for a scalar, whose shape is [].
 *
 * @param {number[]} shape
 * @returns {number}
 */
export function elementCount(shape) {
  return shape.reduce((product, dimension) => product * dimension, 1);
}

/**
 * Check that the bytes are what name, datatype and shape say.
 *
 * @param {Tensor} tensor
 * @throws {FormatError} as `encodeTensors`
 */
export function checkTensor({ name, datatype, shape, data }) {
  if (typeof name !== "string" || !name || encoder.encode(name).length > LIMITS.name) {
    throw new FormatError(`a name has 1 to ${LIMITS.name} bytes`, String(name).slice(0, 64));
  }
  if (!Object.hasOwn(DATATYPES, datatype)) {
    throw new FormatError(`the datatype ${String(datatype).slice(0, 64)} is unknown`, name);
  }
  if (shape.length > LIMITS.rank) {
    throw new FormatError(`more than ${LIMITS.rank} dimensions`, name);
  }
  if (!shape.every((dimension) => Number.isSafeInteger(dimension) && dimension >= 0)) {
    throw new FormatError("a dimension is not an integer from 0", name);
  }
  const size = DATATYPES[datatype];
  const expected = elementCount(shape) * (size ?? 1);
  if (expected > LIMITS.bytes) throw new FormatError(`more than ${LIMITS.bytes} bytes`, name);
  if (size === null) {
    checkBytes(data, expected, name);
  } else if (data.length !== expected) {
    throw new FormatError(`${datatype} [${shape}] is ${expected} bytes, not ${data.length}`, name);
  }
  if (datatype === "BOOL" && data.some((byte) => byte > 1)) {
    throw new FormatError("a BOOL is 0 or 1", name);
  }
}

function checkBytes(data, count, name) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let offset = 0;
  for (let index = 0; index < count; index += 1) {
    const start = offset + 4;
    offset = start <= data.length ? start + view.getUint32(offset, true) : Infinity;
    if (offset > data.length) throw new FormatError("BYTES data ends inside an element", name);
    const element = data.subarray(start, offset);
    if (element.includes(0)) throw new FormatError("a BYTES element holds a NUL", name);
    try {
      decoder.decode(element);
    } catch {
      throw new FormatError("a BYTES element is not UTF-8", name);
    }
  }
  if (offset !== data.length) throw new FormatError("bytes after the last element", name);
}

/** Return the tensor's bytes with every NaN written as the quiet NaN of its type. */
function canonicalNan({ datatype, data }) {
  if (datatype === "FP64") return canonicalNan64(data);
  const bits = NANS[datatype];
  if (!bits) return data;
  const copy = data.slice();
  const view = new DataView(copy.buffer);
  if (datatype === "FP32") {
    for (let at = 0; at < copy.length; at += 4) {
      if ((view.getUint32(at, true) & 0x7fffffff) > bits.infinity) {
        view.setUint32(at, bits.quiet, true);
      }
    }
    return copy;
  }
  for (let at = 0; at < copy.length; at += 2) {
    if ((view.getUint16(at, true) & 0x7fff) > bits.infinity) view.setUint16(at, bits.quiet, true);
  }
  return copy;
}

function canonicalNan64(data) {
  const copy = data.slice();
  const view = new DataView(copy.buffer);
  for (let at = 0; at < copy.length; at += 8) {
    const top = view.getUint32(at + 4, true) & 0x7fffffff;
    if (top > 0x7ff00000 || (top === 0x7ff00000 && view.getUint32(at, true) !== 0)) {
      view.setUint32(at, 0, true);
      view.setUint32(at + 4, 0x7ff80000, true);
    }
  }
  return copy;
}
