// Strict JSON in (`assay.canonical.parse_json`): whatever two parsers could read differently is
// refused. `JSON.parse` keeps the last of two members with one name and rounds what it cannot hold,
// so the text is read here.

import { FormatError } from "./errors.js";
import { LIMITS } from "./limits.js";

const SPACE = /[ \t\n\r]*/y;
const NUMBER = /(-?(?:0|[1-9][0-9]*))(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
// One escape or one run of plain characters at a time, so nothing is ever read twice.
const PLAIN = /[^"\\\u0000-\u001f]+/y;
const ESCAPE = /\\(?:(["\\/bfnrt])|u([0-9a-fA-F]{4}))/y;
const ESCAPED = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };
const LITERALS = /** @type {[string, boolean | null][]} */ ([
  ["true", true],
  ["false", false],
  ["null", null],
]);
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * A whole number that was spelled as a fraction or with an exponent (`1.0`, `1e2`). Where a format
 * asks for an integer this is none; `typeof` keeps it apart from one.
 */
export class SpelledFloat {
  /** @param {number} value */
  constructor(value) {
    this.value = value;
    Object.freeze(this);
  }

  valueOf() {
    return this.value;
  }

  toJSON() {
    return this.value;
  }
}

/**
 * Parse one JSON text, strictly.
 *
 * @param {Uint8Array} data
 * @param {{maxBytes?: number, path?: string}} [options]
 * @returns {any} plain values; a whole number in a float's spelling is a `SpelledFloat`
 * @throws {FormatError} too long, too deep, not UTF-8, a byte order mark, a name twice, a number
 *   outside what a double holds exactly, a lone surrogate, or anything after the value
 */
export function parseJson(data, { maxBytes = LIMITS.bundle, path = "" } = {}) {
  if (data.length > maxBytes) throw new FormatError(`longer than ${maxBytes} bytes`, path);
  if (data[0] === 0xef && data[1] === 0xbb && data[2] === 0xbf) {
    throw new FormatError("starts with a byte order mark", path);
  }
  return new Reader(decodeUtf8(data, path), path).readWhole();
}

/**
 * Return the text of UTF-8 bytes; a byte order mark is a character like every other.
 *
 * @param {Uint8Array} data
 * @param {string} [path]
 * @param {string} [message]
 * @returns {string}
 * @throws {FormatError} not UTF-8
 */
export function decodeUtf8(data, path = "", message = "not UTF-8") {
  try {
    return UTF8.decode(data);
  } catch {
    throw new FormatError(message, path);
  }
}

class Reader {
  #text;
  #path;
  #at = 0;

  constructor(text, path) {
    this.#text = text;
    this.#path = path;
  }

  readWhole() {
    const value = this.#value(0);
    this.#take(SPACE);
    if (this.#at !== this.#text.length) throw this.#error("there is something after the value");
    return value;
  }

  #value(depth) {
    this.#take(SPACE);
    const first = this.#text[this.#at];
    if (first === "{") return this.#object(this.#deeper(depth));
    if (first === "[") return this.#array(this.#deeper(depth));
    if (first === '"') return this.#string();
    for (const [word, value] of LITERALS) {
      if (this.#text.startsWith(word, this.#at)) {
        this.#at += word.length;
        return value;
      }
    }
    return this.#number();
  }

  #deeper(depth) {
    if (depth >= LIMITS.jsonDepth) {
      throw new FormatError(`nested deeper than ${LIMITS.jsonDepth}`, this.#path);
    }
    return depth + 1;
  }

  #object(depth) {
    const names = new Set();
    const members = [];
    this.#items("}", () => {
      if (this.#text[this.#at] !== '"') throw this.#error("a name is a string");
      const name = this.#string();
      if (names.has(name)) throw this.#error(`the key '${name.slice(0, 64)}' stands twice`);
      names.add(name);
      this.#take(SPACE);
      if (!this.#skip(":")) throw this.#error("a name has no value");
      members.push([name, this.#value(depth)]);
    });
    return Object.fromEntries(members); // defines, so a "__proto__" is a member like every other
  }

  #array(depth) {
    const items = [];
    this.#items("]", () => items.push(this.#value(depth)));
    return items;
  }

  /** Read what stands between brackets, with commas between the items and none at the end. */
  #items(end, readItem) {
    this.#at += 1;
    this.#take(SPACE);
    if (this.#skip(end)) return;
    do {
      this.#take(SPACE);
      readItem();
      this.#take(SPACE);
    } while (this.#skip(","));
    if (!this.#skip(end)) throw this.#error(`there is no '${end}'`);
  }

  #string() {
    const parts = [];
    let escaped = false;
    this.#at += 1;
    while (!this.#skip('"')) {
      const plain = this.#take(PLAIN);
      if (plain) {
        parts.push(plain[0]);
        continue;
      }
      const escape = this.#take(ESCAPE);
      if (!escape) throw this.#error("a string has no end, or holds what must be escaped");
      const [, letter, hex] = escape;
      parts.push(hex ? String.fromCharCode(parseInt(hex, 16)) : (ESCAPED[letter] ?? letter));
      escaped = true;
    }
    const text = parts.join("");
    // Only an escape can spell half of a pair, which no UTF-8 text can carry.
    if (escaped && !text.isWellFormed()) throw this.#error("a string holds a lone surrogate");
    return text;
  }

  #number() {
    const match = this.#take(NUMBER);
    if (!match) throw this.#error("there is no value");
    const [spelled, , fraction, exponent] = match;
    const value = Number(spelled);
    if (fraction === undefined && exponent === undefined) {
      if (!Number.isSafeInteger(value)) {
        throw this.#error(`the integer ${spelled.slice(0, 24)} is beyond 2^53`);
      }
      return value + 0; // -0 as an integer is 0
    }
    if (!Number.isFinite(value)) {
      throw this.#error(`the number ${spelled.slice(0, 24)} is beyond what a double holds`);
    }
    return Number.isSafeInteger(value) ? new SpelledFloat(value) : value;
  }

  #skip(char) {
    if (this.#text[this.#at] !== char) return false;
    this.#at += 1;
    return true;
  }

  /** Take what `pattern`, a sticky one, matches here. */
  #take(pattern) {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match) this.#at = pattern.lastIndex;
    return match;
  }

  #error(message) {
    return new FormatError(`not strict JSON: ${message}, at character ${this.#at}`, this.#path);
  }
}
