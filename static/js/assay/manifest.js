// A model folder as a list of names and digests, and its OpenSSF Model Signing statement.
//
// The name of a model's content is `manifestDigest`, which covers names and digests. OMS's own
// subject digest leaves the names out; it is written because the standard asks for it, and never
// used to compare. What a signer chose to ignore is never believed: five names at top level are
// excused, and nothing else is.

import { asList, asObject, asText, canonicalJson, parseJson } from "./canonical.js";
import { concat, equalBytes, parseHex, sha256Hex } from "./digests.js";
import { FormatError, VerificationError } from "./errors.js";
import { LIMITS } from "./limits.js";

export const OMS = "https://model_signing/signature/v1.0";
export const STATEMENT_TYPE = "https://in-toto.io/Statement/v1";
export const IGNORED = Object.freeze([
  ".git",
  ".gitattributes",
  ".github",
  ".gitignore",
  "model.sig",
]);

const METHODS = ["files", "shards"];
const HASHES = ["sha256", "blake2b", "blake3"];
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
  if (segments.length > LIMITS.pathDepth) {
    throw new FormatError(`the path is deeper than ${LIMITS.pathDepth}`, path);
  }
  for (const segment of segments) {
    if (segment === "" || segment === "." || segment === "..") {
      throw new FormatError(`the path "${name}" holds the segment "${segment}"`, path);
    }
    if (encoder.encode(segment).length > LIMITS.pathSegment) {
      throw new FormatError(`a segment is longer than ${LIMITS.pathSegment} bytes`, path);
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

/**
 * Return the manifest whose digest is the SHA-256 of `data`: its RFC 8785 form.
 *
 * @param {Uint8Array} data
 * @returns {Resource[]} sorted
 * @throws {FormatError} not an array of resources, or another spelling of one
 */
export function parseManifest(data) {
  const items = asList(parseJson(data, { path: "manifest" }), "manifest");
  const resources = items.map((item, index) => parseResource(item, `[${index}]`));
  checkResources(resources);
  if (!equalBytes(canonicalJson(resources), data)) {
    throw new FormatError("is not in RFC 8785 form", "manifest");
  }
  return resources;
}

/**
 * Return the manifest that an OMS statement signs. The predicate type is checked elsewhere.
 *
 * @param {{predicate: Record<string, any>, digests: readonly string[]}} statement `digests` are the
 *   hex SHA-256 of each subject, `""` for a subject that has none
 * @returns {Promise<Resource[]>} sorted
 * @throws {FormatError} the predicate is not the one that OMS v1.0 describes for `files`
 * @throws {VerificationError} a form that is legal OMS and not supported here (shards, BLAKE,
 *   symbolic links, a single file), or a subject digest that is not the files'
 */
export async function parseOms({ predicate, digests }) {
  const fields = asObject(predicate, "predicate", { required: ["serialization", "resources"] });
  checkSerialization(fields.serialization, "predicate.serialization");
  const items = asList(fields.resources, "predicate.resources");
  if (items.length > LIMITS.manifestFiles) {
    throw new FormatError(`more than ${LIMITS.manifestFiles} files`, "predicate.resources");
  }
  const resources = items.map((item, index) =>
    parseResource(item, `predicate.resources[${index}]`),
  );
  checkResources(resources);
  if (digests.length !== 1) throw new FormatError(`${digests.length} subjects, not one`, "subject");
  const expected = await subjectDigest(resources);
  if (digests[0] !== expected) {
    throw new VerificationError("the subject is not the digest over the listed files", {
      expected,
      found: digests[0],
    });
  }
  return resources;
}

/**
 * Check that the folder `found` holds the files of `signed`, and no other.
 *
 * @param {Resource[]} signed
 * @param {Resource[]} found
 * @throws {VerificationError} a file is missing, added or altered
 */
export function checkFolder(signed, found) {
  const held = new Map(found.map(({ name, digest }) => [name, digest]));
  for (const { name, digest } of signed) {
    if (!held.has(name)) throw new VerificationError(`the signed file '${name}' is missing`);
    if (held.get(name) !== digest) {
      throw new VerificationError(`the file '${name}' is not the signed one`, {
        expected: digest,
        found: held.get(name),
      });
    }
  }
  const listed = new Set(signed.map(({ name }) => name));
  const added = found.find(({ name }) => !listed.has(name));
  if (added) {
    throw new VerificationError(`the file '${added.name}' is not listed in the signed manifest`);
  }
}

function checkSerialization(value, path) {
  const fields = asObject(value, path, {
    required: ["method", "hash_type", "allow_symlinks"],
    optional: ["ignore_paths", "shard_size"],
  });
  if (Object.hasOwn(fields, "ignore_paths")) {
    const items = asList(fields.ignore_paths, `${path}.ignore_paths`);
    items.forEach((item, index) => checkPlainPath(item, `${path}.ignore_paths[${index}]`));
  }
  const { method, hash_type: hash, allow_symlinks: links } = fields;
  if (!METHODS.includes(method)) throw new FormatError("an unknown method", `${path}.method`);
  if (!HASHES.includes(hash)) throw new FormatError("an unknown hash", `${path}.hash_type`);
  if (typeof links !== "boolean") {
    throw new FormatError("is not true or false", `${path}.allow_symlinks`);
  }
  if (method === "files" && Object.hasOwn(fields, "shard_size")) {
    throw new FormatError("files have no shard size", `${path}.shard_size`);
  }
  if (method !== "files" || hash !== "sha256") {
    throw new VerificationError("not supported", {
      expected: "files by sha256",
      found: `${method} by ${hash}`,
    });
  }
  if (links) {
    throw new VerificationError("the signer allowed symbolic links, which hide what is read");
  }
}

function checkPlainPath(item, path) {
  checkPath(asText(item, path), path);
  if (/[*?[\]]/.test(item)) throw new FormatError("a pattern is no path", path);
}

function parseResource(value, path) {
  // A resource descriptor may carry fields that we do not know (in-toto, field types).
  const optional = value && typeof value === "object" ? Object.keys(value) : [];
  const fields = asObject(value, path, { required: ["name", "algorithm", "digest"], optional });
  const name = asText(fields.name, `${path}.name`);
  if (fields.algorithm !== "sha256") {
    throw new FormatError("the algorithm is not sha256", `${path}.algorithm`);
  }
  if (name === ".") {
    throw new VerificationError("signed as a single file; here a model is always a folder");
  }
  return { algorithm: "sha256", digest: asText(fields.digest, `${path}.digest`), name };
}

function checkResources(resources) {
  if (resources.length === 0) {
    throw new FormatError("a manifest lists at least one file", "resources");
  }
  if (resources.length > LIMITS.manifestFiles) {
    throw new FormatError(`more than ${LIMITS.manifestFiles} files`, "resources");
  }
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
