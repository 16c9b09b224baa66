// A model folder as a list of names and digests, and its OpenSSF Model Signing statement.
//
// The name of a model's content is `manifestDigest`, which covers names and digests. OMS's own
// subject digest leaves the names out; it is written because the standard asks for it.

import { canonicalJson } from "./canonical.js";
import { concat, parseHex, sha256Hex } from "./digests.js";
import { FormatError } from "./errors.js";

export const OMS = "https://model_signing/signature/v1.0";
export const STATEMENT_TYPE = "https://in-toto.io/Statement/v1";
export const IGNORED = Object.freeze([
  ".git",
  ".gitattributes",
  ".github",
  ".gitignore",
  "model.sig",
]);

const LIMITS = Object.freeze({ files: 10_000, path: 1_024, segment: 255, depth: 32 });
const encoder = new TextEncoder();

/** @typedef {{algorithm: "sha256", digest: string, name: string}} Resource */

/**
 * Order two well-formed texts by code point. The default order of JavaScript is by UTF-16 units,
 * which puts U+1F600 before U+FF5E.
 *
 * @param {string} left
 * @param {string} right
 * @returns {number} negative, 0 or positive
 */
export function compareCodePoints(left, right) {
  const length = Math.min(left.length, right.length);
  for (let index = 0; index < length; index += 1) {
    const [a, b] = [left.charCodeAt(index), right.charCodeAt(index)];
    // Surrogates stand for code points above every other unit.
    if (a !== b) return (isSurrogate(a) ? a + 0x10000 : a) - (isSurrogate(b) ? b + 0x10000 : b);
  }
  return left.length - right.length;
}

/**
 * Tell whether OMS leaves `name` out by default: five names, at top level only.
 *
 * @param {string} name
 * @returns {boolean}
 */
export function isIgnored(name) {
  return IGNORED.includes(name.split("/", 1)[0]);
}

/**
 * Check that `name` is a relative path with one spelling on every system.
 *
 * @param {string} name
 * @param {string} [path]
 * @throws {FormatError} empty, absolute, `.`, `..`, a backslash, a control character, too long
 */
export function checkPath(name, path = "") {
  if (!name.isWellFormed()) throw new FormatError("the path is not Unicode text", path);
  if (encoder.encode(name).length > LIMITS.path) {
    throw new FormatError(`the path is longer than ${LIMITS.path} bytes`, path);
  }
  if (/[\\\u0000-\u001f\u007f-\u009f]/.test(name)) {
    throw new FormatError("the path holds a backslash or a control character", path);
  }
  const segments = name.split("/");
  if (segments.length > LIMITS.depth) {
    throw new FormatError(`the path is deeper than ${LIMITS.depth}`, path);
  }
  for (const segment of segments) {
    if (segment === "" || segment === "." || segment === "..") {
      throw new FormatError(`the path "${name}" holds the segment "${segment}"`, path);
    }
    if (encoder.encode(segment).length > LIMITS.segment) {
      throw new FormatError(`a segment is longer than ${LIMITS.segment} bytes`, path);
    }
  }
}

/**
 * Return the `resources` of a folder, sorted, without the paths that OMS ignores by default.
 *
 * @param {Iterable<[string, string]>} pairs (path, hex SHA-256), in any order
 * @returns {Resource[]}
 * @throws {FormatError} nothing left, a bad path or digest, a path twice, a file that is a folder
 */
export function resourcesFrom(pairs) {
  const kept = [...pairs].filter(([name]) => !isIgnored(name));
  kept.sort(([left], [right]) => compareCodePoints(left, right));
  const resources = kept.map(([name, digest]) => ({ algorithm: "sha256", digest, name }));
  checkResources(resources);
  return resources;
}

/**
 * Return the name of this content: hex SHA-256 of the RFC 8785 form of `resources`.
 *
 * @param {Resource[]} resources sorted
 * @returns {Promise<string>}
 */
export function manifestDigest(resources) {
  return sha256Hex(canonicalJson(resources));
}

/**
 * Return OMS's subject digest: SHA-256 over the raw digests. It does not cover the names.
 *
 * @param {Resource[]} resources sorted
 * @returns {Promise<string>}
 */
export function subjectDigest(resources) {
  return sha256Hex(concat(resources.map((item) => parseHex(item.digest, item.name))));
}

/**
 * Return the OMS statement over a folder, ready to be signed.
 *
 * @param {Resource[]} resources sorted
 * @param {string} folderName the name of the model, without its owner
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 * @throws {FormatError} as `resourcesFrom`
 */
export async function omsStatement(resources, folderName) {
  checkResources(resources);
  return canonicalJson({
    _type: STATEMENT_TYPE,
    subject: [{ name: folderName, digest: { sha256: await subjectDigest(resources) } }],
    predicateType: OMS,
    predicate: {
      serialization: {
        method: "files",
        hash_type: "sha256",
        allow_symlinks: false,
        ignore_paths: [...IGNORED],
      },
      resources,
    },
  });
}

function checkResources(resources) {
  if (resources.length === 0) throw new FormatError("a manifest lists at least one file");
  if (resources.length > LIMITS.files) throw new FormatError(`more than ${LIMITS.files} files`);
  const names = new Set(resources.map((item) => item.name));
  resources.forEach(({ name, digest }, index) => {
    checkPath(name, `resources[${index}].name`);
    parseHex(digest, `resources[${index}].digest`);
    const before = index && compareCodePoints(resources[index - 1].name, name);
    if (index && before === 0) throw new FormatError(`"${name}" is listed twice`);
    if (before > 0) throw new FormatError("the files are not sorted by name");
    const parts = name.split("/");
    for (let depth = 1; depth < parts.length; depth += 1) {
      const folder = parts.slice(0, depth).join("/");
      if (names.has(folder)) throw new FormatError(`"${folder}" is a file and a folder`);
    }
  });
}

function isSurrogate(unit) {
  return unit >= 0xd800 && unit <= 0xdfff;
}
