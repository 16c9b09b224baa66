// How one field of a predicate is read, and the machinery that reads a whole one.
//
// A form names each field with the function that reads it, `(value, path) => value`; `readForm`
// does the rest: every field is required, unknown ones are refused, and an error carries the path.

import { asObject, asSize, asText } from "../canonical.js";
import { parseHex } from "../digests.js";
import { FormatError } from "../errors.js";
import { SpelledFloat } from "../json.js";

const TIME = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})\.\d{3}Z$/;
const REVISION = /^[0-9a-f]{40}$/;
const UUID7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const NAME = "[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?";
const MODEL = new RegExp(`^${NAME}/${NAME}$`);
const TEXT_LIMIT = 16_384;

/** @typedef {(value: unknown, path: string) => any} Reader */

/**
 * Read a JSON object that has the fields of `form` and no other.
 *
 * @param {Record<string, Reader>} form readers by JSON name; one may be async
 * @param {unknown} value
 * @param {string} path
 * @returns {Promise<Record<string, any>>} what the readers made, frozen, by the same names
 * @throws {FormatError} a field is missing, unknown or wrong; its `path` says which
 */
export async function readForm(form, value, path) {
  const fields = asObject(value, path, { required: Object.keys(form) });
  const prefix = path && `${path}.`;
  const result = {};
  for (const [name, read] of Object.entries(form)) {
    result[name] = await read(fields[name], prefix + name);
  }
  return Object.freeze(result);
}

/** Read a text of 1 to 16384 characters. @type {Reader} */
export function text(value, path) {
  const result = asText(value, path);
  // A character outside the BMP is two units here and one character in the limit.
  if (result === "" || (result.length > TEXT_LIMIT && [...result].length > TEXT_LIMIT)) {
    throw new FormatError(`is not a text of 1 to ${TEXT_LIMIT} characters`, path);
  }
  return result;
}

/** Read 64 lower-case hex digits. @type {Reader} */
export function digest(value, path) {
  parseHex(value, path);
  return value;
}

/** Read an integer from 0 to 2^53 - 1. @type {Reader} */
export const size = asSize;

/** Read any JSON object. @type {Reader} */
export function jsonObject(value, path) {
  const other = value === null || Array.isArray(value) || value instanceof SpelledFloat;
  if (typeof value !== "object" || other) throw new FormatError("is not an object", path);
  return value;
}

/**
 * @param {...string} choices
 * @returns {Reader} a reader of one of `choices`
 */
export function oneOf(...choices) {
  return (value, path) => {
    const result = asText(value, path);
    if (!choices.includes(result)) throw new FormatError(`is none of ${choices.join(", ")}`, path);
    return result;
  };
}

/**
 * @param {Reader} reader
 * @returns {Reader} a reader of null, or of what `reader` reads
 */
export function nullable(reader) {
  return (value, path) => (value === null ? null : reader(value, path));
}

function matching(pattern, what) {
  return (value, path) => {
    const result = asText(value, path);
    if (!pattern.test(result)) throw new FormatError(`is not ${what}`, path);
    return result;
  };
}

/** Read 40 lower-case hex digits. */
export const revision = matching(REVISION, "a revision (40 hex digits)");
/** Read a UUID of version 7. */
export const uuid7 = matching(UUID7, "a UUID of version 7");
const timeForm = matching(TIME, "a time in UTC with milliseconds");
const modelForm = matching(MODEL, "a model id (owner/name)");

/** Read a model id: `owner/name`, each as the Hugging Face Hub spells one. @type {Reader} */
export function model(value, path) {
  const result = modelForm(value, path);
  if (/--|\.\.|\.git(?:\/|$)/.test(result)) {
    throw new FormatError("is not a model id (owner/name)", path);
  }
  return result;
}

/** Read a time that exists: `2026-01-01T00:00:00.000Z`. @type {Reader} */
export function time(value, path) {
  const result = timeForm(value, path);
  const [, year, month, day, hour, minute, second] = TIME.exec(result).map(Number);
  const exists = month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month);
  if (year < 1 || !exists || hour > 23 || minute > 59 || second > 59) {
    throw new FormatError("is no time of the calendar", path);
  }
  return result;
}

function daysIn(year, month) {
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1];
}
