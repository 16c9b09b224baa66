// RFC 8785 (JSON Canonicalization Scheme): the only producer of bytes that get hashed or signed.
// Also how strict JSON is taken apart, and the one spelling of decimals.

import { equalBytes } from "./digests.js";
import { FormatError } from "./errors.js";
import { SpelledFloat, parseJson } from "./json.js";

export { decodeUtf8, parseJson } from "./json.js";

const encoder = new TextEncoder();
const DECIMAL = /^(?:0|[1-9][0-9]{0,18})$/;
const DECIMAL_END = 2n ** 63n;
const EXPONENT_FROM = 1e21; // ECMAScript writes whole numbers from here on with an exponent

/**
 * Return `value` in canonical JSON, UTF-8.
 *
 * @param {unknown} value null, booleans, numbers, strings, arrays and plain objects
 * @returns {Uint8Array<ArrayBuffer>}
 * @throws {FormatError} NaN, an infinity, a whole number from 2^53 to 10^21, a lone surrogate,
 *   another type
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
  if (value instanceof SpelledFloat) return writeNumber(value.value, path);
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
  const digits = Number.isInteger(value) && Math.abs(value) < EXPONENT_FROM;
  if (digits && !Number.isSafeInteger(value)) {
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

/**
 * Parse JSON that has one spelling only: its RFC 8785 form.
 *
 * @param {Uint8Array} data
 * @param {{maxBytes?: number, path?: string}} [options]
 * @returns {any}
 * @throws {FormatError} not strict JSON, or another spelling of it
 */
export function parseCanonicalJson(data, options = {}) {
  const value = parseJson(data, options);
  if (!equalBytes(canonicalJson(value), data)) {
    throw new FormatError("is not in RFC 8785 form", options.path);
  }
  return value;
}

/**
 * Return the non-negative integer that `text` spells. A tree size, index or time of the log goes up
 * to 2^63 - 1, which no number of JavaScript holds: these are bigints wherever they come from.
 *
 * @param {unknown} text
 * @param {string} [path]
 * @returns {bigint} below 2^63
 * @throws {FormatError} any spelling but ASCII digits without a leading zero
 */
export function parseDecimal(text, path = "") {
  if (typeof text !== "string" || !DECIMAL.test(text)) {
    throw new FormatError("a decimal is digits without a leading zero", path);
  }
  const value = BigInt(text);
  if (value >= DECIMAL_END) throw new FormatError("a decimal is below 2^63", path);
  return value;
}

/**
 * Return `value`, a JSON object that has all `required` fields and none that is not named.
 *
 * @param {unknown} value
 * @param {string} path
 * @param {{required: readonly string[], optional?: readonly string[]}} fields
 * @returns {Record<string, any>}
 * @throws {FormatError} not an object, a field missing, or a field that the format does not have
 */
export function asObject(value, path, { required, optional = [] }) {
  if (typeof value !== "object" || value === null || !isPlain(value)) {
    throw new FormatError("is not an object", path);
  }
  for (const name of required) {
    if (!Object.hasOwn(value, name)) throw new FormatError(`the field '${name}' is missing`, path);
  }
  const known = new Set([...required, ...optional]);
  for (const name of Object.keys(value)) {
    if (!known.has(name)) throw new FormatError(`the field '${name}' is unknown`, path);
  }
  return value;
}

/**
 * Return `value`, a JSON array.
 *
 * @param {unknown} value
 * @param {string} path
 * @returns {any[]}
 * @throws {FormatError} anything else
 */
export function asList(value, path) {
  if (!Array.isArray(value)) throw new FormatError("is not an array", path);
  return value;
}

/**
 * Return `value`, a JSON string.
 *
 * @param {unknown} value
 * @param {string} path
 * @returns {string}
 * @throws {FormatError} anything else
 */
export function asText(value, path) {
  if (typeof value !== "string") throw new FormatError("is not a string", path);
  return value;
}

/**
 * Tell whether a JSON value is an integer in an integer's spelling: `1.0` and `1e2` are none.
 *
 * @param {unknown} value
 * @returns {value is number}
 */
export function isInteger(value) {
  return Number.isSafeInteger(value);
}

/**
 * Return `value`, a JSON integer from 0 to 2^53 - 1.
 *
 * @param {unknown} value
 * @param {string} path
 * @returns {number}
 * @throws {FormatError} anything else
 */
export function asSize(value, path) {
  if (!isInteger(value)) throw new FormatError("is not an integer", path);
  if (value < 0) throw new FormatError("is not from 0 to 2^53 - 1", path);
  return value;
}
