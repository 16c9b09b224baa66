// The committed vectors: of the log's formats, and of what `assay` makes of fixed inputs.

import { readFileSync } from "node:fs";

const ROOT = new URL("../vectors/", import.meta.url);

/** @param {string} name @returns {Buffer} a file under tests/vectors/ */
export function bytes(name) {
  return readFileSync(new URL(name, ROOT));
}

/** @param {string} name @returns {any} a JSON file under tests/vectors/ */
export function json(name) {
  return JSON.parse(bytes(name).toString("utf8"));
}

/** @param {string} text @returns {string} the UTF-8 text that base64 spells */
export function text(base64) {
  return Buffer.from(base64, "base64").toString("utf8");
}

/** @param {Uint8Array} data @returns {string} */
export function utf8(data) {
  return Buffer.from(data).toString("utf8");
}
