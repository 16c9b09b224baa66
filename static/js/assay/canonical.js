// RFC 8785 (JSON Canonicalization Scheme): the only producer of bytes that get hashed or signed.

import { FormatError } from "./errors.js";

const encoder = new TextEncoder();

/**
 * Return `value` in canonical JSON, UTF-8.
 *
 * @param {unknown} value null, booleans, numbers, strings, arrays and plain objects
 * @returns {Uint8Array<ArrayBuffer>}
 * @throws {FormatError} NaN, an infinity, an integer beyond 2^53, a lone surrogate, another type
 */
export function canonicalJson(value) {
  return encoder.encode(canonicalText(value));
}

/**
 * Return `value` in canonical JSON, as text.
 *
 * @param {unknown} value
 * @returns {string}
 * @throws {FormatError} as `canonicalJson`
 */
export function canonicalText(value) {
  return write(value, "");
}

function write(value, path) {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "string") return writeText(value, path);
  if (typeof value === "number") return writeNumber(value, path);
  if (Array.isArray(value)) {
    // Array.from visits holes too, which map() would skip.
    return `[${Array.from(value, (item, index) => write(item, `${path}[${index}]`)).join(",")}]`;
  }
  if (isPlain(value)) return writeObject(value, path);
  throw new FormatError(`JSON cannot carry this ${typeof value}`, path);
}

function writeText(value, path) {
  if (!value.isWellFormed()) throw new FormatError("holds a lone surrogate", path);
  // RFC 8785, section 3.2.2.2: strings are written as ECMAScript's JSON.stringify writes them.
  return JSON.stringify(value);
}

function writeNumber(value, path) {
  if (!Number.isFinite(value)) throw new FormatError("is not a finite number", path);
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
    throw new FormatError("is an integer beyond 2^53, which readers may round", path);
  }
  return JSON.stringify(value);
}

function writeObject(value, path) {
  // Names are sorted by UTF-16 code units (section 3.2.3), which is the default order of sort().
  const names = Object.keys(value).sort();
  const prefix = path && `${path}.`;
  const members = names.map(
    (name) => `${writeText(name, path)}:${write(value[name], prefix + name)}`,
  );
  return `{${members.join(",")}}`;
}

function isPlain(value) {
  if (typeof value !== "object") return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}
