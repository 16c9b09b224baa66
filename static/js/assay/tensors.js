// `assay-tensors-v1`: one byte string, and so one digest, for one set of named tensors.
//
//     assay-tensors-v1\n
//     {"tensors":[{"datatype":"FP32","name":"x","shape":[1,2]}]}\n
//     <bytes of each tensor, in that order>
//
// Tensors are sorted by name (code points). The bytes are the Open Inference Protocol's binary
// form. Every NaN is written as the quiet NaN of its type.

import {
  asList,
  asObject,
  asText,
  canonicalJson,
  decodeUtf8,
  isInteger,
  parseCanonicalJson,
} from "./canonical.js";
import { concat, equalBytes, parseHex, sha256Hex } from "./digests.js";
import { FormatError, MisuseError } from "./errors.js";
import { LIMITS } from "./limits.js";
import { compareCodePoints } from "./manifest.js";
import { canonicalNans } from "./nans.js";

const encoder = new TextEncoder();
const MAGIC = encoder.encode("assay-tensors-v1\n");
const COMMITMENT_MAGIC = encoder.encode("assay-commitment-v1\n");
const NEWLINE = encoder.encode("\n");
const SALT_BYTES = 32;
const LENGTH_BYTES = 4; // before each element of a BYTES tensor

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
  const ordered = [...tensors].sort((left, right) => compareCodePoints(left.name, right.name));
  checkNames(ordered);
  ordered.forEach(checkTensor);
  const headers = ordered.map(({ datatype, name, shape }) => ({ datatype, name, shape }));
  const header = canonicalJson({ tensors: headers });
  return concat([MAGIC, header, NEWLINE, ...ordered.map(canonicalNans)]);
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
 * Return the tensors in `data`, sorted by name. Their bytes are views of it, not copies.
 *
 * @param {Uint8Array} data
 * @returns {Tensor[]}
 * @throws {FormatError} not the format, a second spelling of the same tensors (order, header, NaN),
 *   or bytes after the end
 */
export function decodeTensors(data) {
  if (!equalBytes(data.subarray(0, MAGIC.length), MAGIC)) {
    throw new FormatError("does not start with assay-tensors-v1");
  }
  const end = data.indexOf(NEWLINE[0], MAGIC.length);
  if (end < 0) throw new FormatError("the header has no end");
  const header = parseCanonicalJson(data.subarray(MAGIC.length, end), { path: "header" });
  const items = asList(asObject(header, "header", { required: ["tensors"] }).tensors, "tensors");
  let offset = end + 1;
  const tensors = items.map((item, index) => {
    const described = parseHeader(item, `tensors[${index}]`);
    const size = sizeIn(described, data, offset);
    const tensor = { ...described, data: data.subarray(offset, offset + size) };
    offset += size;
    checkTensor(tensor);
    if (canonicalNans(tensor) !== tensor.data) {
      throw new FormatError("holds a NaN that is not the canonical one", tensor.name);
    }
    return tensor;
  });
  if (offset !== data.length) {
    throw new FormatError(`${data.length - offset} bytes after the last tensor`);
  }
  checkNames(tensors);
  return tensors;
}

/**
 * Return the hex commitment to a tensor digest: what a private execution shows of it.
 *
 * @param {Uint8Array} salt 32 random bytes
 * @param {string} digest 64 hex digits
 * @returns {Promise<string>}
 * @throws {MisuseError} the salt is not 32 bytes
 * @throws {FormatError} the digest is not 64 hex digits
 */
export async function commitment(salt, digest) {
  if (salt.length !== SALT_BYTES) {
    throw new MisuseError(`a salt is ${SALT_BYTES} random bytes, not ${salt.length}`);
  }
  return sha256Hex(concat([COMMITMENT_MAGIC, salt, parseHex(digest)]));
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
    const length = new Uint8Array(LENGTH_BYTES);
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
export function checkTensor(tensor) {
  const size = checkType(tensor);
  const { name, datatype, shape, data } = tensor;
  const count = elementCount(shape);
  if (size === null) {
    checkBytes(data, count, name);
  } else if (data.length !== count * size) {
    const expected = count * size;
    throw new FormatError(`${datatype} [${shape}] is ${expected} bytes, not ${data.length}`, name);
  }
  if (datatype === "BOOL" && data.some((byte) => byte > 1)) {
    throw new FormatError("a BOOL is 0 or 1", name);
  }
}

/** Check name, datatype and shape; return the bytes of an element, null for BYTES. */
function checkType({ name, datatype, shape }) {
  if (typeof name !== "string" || !name || encoder.encode(name).length > LIMITS.tensorName) {
    throw new FormatError(`a name has 1 to ${LIMITS.tensorName} bytes`, String(name).slice(0, 64));
  }
  if (!Object.hasOwn(DATATYPES, datatype)) {
    throw new FormatError(`the datatype '${String(datatype).slice(0, 64)}' is unknown`, name);
  }
  if (shape.length > LIMITS.tensorRank) {
    throw new FormatError(`more than ${LIMITS.tensorRank} dimensions`, name);
  }
  if (!shape.every((dimension) => isInteger(dimension))) {
    throw new FormatError("a dimension is an integer", name);
  }
  if (shape.some((dimension) => dimension < 0 || dimension > LIMITS.tensorDim)) {
    throw new FormatError("a dimension is negative or too large", name);
  }
  const size = DATATYPES[datatype];
  const count = elementCount(shape); // no more than 2^640, and a zero makes it zero
  if (count * (size ?? 1) > LIMITS.tensorBytes) {
    throw new FormatError(`more than ${LIMITS.tensorBytes} bytes`, name);
  }
  if (size === null && count > LIMITS.bytesElements) {
    throw new FormatError(`more than ${LIMITS.bytesElements} elements`, name);
  }
  return size;
}

function checkNames(ordered) {
  if (ordered.length > LIMITS.tensors) throw new FormatError(`more than ${LIMITS.tensors} tensors`);
  ordered.forEach(({ name }, index) => {
    const before = index ? compareCodePoints(ordered[index - 1].name, name) : -1;
    if (before === 0) throw new FormatError("the name stands twice", name);
    if (before > 0) throw new FormatError("the tensors are not sorted by name", name);
  });
}

function parseHeader(value, path) {
  const fields = asObject(value, path, { required: ["datatype", "name", "shape"] });
  const shape = asList(fields.shape, `${path}.shape`);
  if (!shape.every((dimension) => isInteger(dimension))) {
    throw new FormatError("a dimension is an integer", `${path}.shape`);
  }
  const [name, datatype] = ["name", "datatype"].map((key) => asText(fields[key], `${path}.${key}`));
  return { name, datatype, shape };
}

/** Return how many bytes of `data` from `offset` belong to the tensor. */
function sizeIn(described, data, offset) {
  const size = checkType(described);
  const count = elementCount(described.shape);
  if (size !== null) return count * size;
  let end = offset;
  for (const span of bytesSpans(data, offset, count, described.name)) end = span.end;
  return end - offset;
}

/** Give start and end of `count` elements, each behind its length. */
function* bytesSpans(data, offset, count, path) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let end = offset;
  for (let index = 0; index < count; index += 1) {
    const start = end + LENGTH_BYTES;
    const length = start <= data.length ? view.getUint32(end, true) : 0;
    end = start + length;
    if (length > LIMITS.bytesElement) {
      throw new FormatError(`a BYTES element is longer than ${LIMITS.bytesElement} bytes`, path);
    }
    if (end > data.length) throw new FormatError("BYTES data ends inside an element", path);
    yield { start, end };
  }
}

function checkBytes(data, count, name) {
  let last = 0;
  for (const { start, end } of bytesSpans(data, 0, count, name)) {
    const element = data.subarray(start, end);
    decodeUtf8(element, name, "a BYTES element is not UTF-8");
    if (element.includes(0)) throw new FormatError("a BYTES element holds a NUL", name);
    last = end;
  }
  if (last !== data.length) {
    throw new FormatError(`${data.length - last} bytes after the last element`, name);
  }
}
