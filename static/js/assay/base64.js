// Base64 in its one spelling: standard alphabet, padded, no stray low bits (RFC 4648, section 4).

import { FormatError } from "./errors.js";

const CHUNK = 0x8000; // arguments that one call of String.fromCharCode takes safely
const FOREIGN = /[^A-Za-z0-9+/=]/;
const URL_SAFE = /^[A-Za-z0-9_-]*$/;

/**
 * Return standard base64 with padding.
 *
 * @param {Uint8Array} data
 * @returns {string}
 */
export function encodeBase64(data) {
  let text = "";
  for (let start = 0; start < data.length; start += CHUNK) {
    text += String.fromCharCode(...data.subarray(start, start + CHUNK));
  }
  return btoa(text);
}

/**
 * Return the bytes that `text` spells.
 *
 * @param {unknown} text
 * @param {string} [path]
 * @returns {Uint8Array<ArrayBuffer>}
 * @throws {FormatError} not a string, another alphabet, white space, padding or low bits astray
 */
export function decodeBase64(text, path = "") {
  if (typeof text !== "string") throw new FormatError("base64 text is a string", path);
  const data = FOREIGN.test(text) ? null : fromBase64(text);
  if (data === null) throw new FormatError("not base64", path);
  // atob() forgives missing padding and stray low bits; printing again and comparing does not.
  if (encodeBase64(data) !== text) throw new FormatError("not the canonical base64 spelling", path);
  return data;
}

function fromBase64(text) {
  let binary;
  try {
    binary = atob(text);
  } catch {
    return null;
  }
  const data = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at += 1) data[at] = binary.charCodeAt(at);
  return data;
}

/**
 * Return the bytes that `text`, unpadded base64url (RFC 4648, section 5), spells.
 *
 * @param {string} text
 * @param {string} [path]
 * @returns {Uint8Array<ArrayBuffer>}
 * @throws {FormatError} any other spelling
 */
export function decodeBase64Url(text, path = "") {
  if (!URL_SAFE.test(text)) throw new FormatError("is not base64url", path);
  const standard = text.replaceAll("-", "+").replaceAll("_", "/");
  return decodeBase64(standard + "=".repeat((4 - (standard.length % 4)) % 4), path);
}
