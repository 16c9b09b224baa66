// The values that several predicates share: checkpoint seen, graph, tensors, runtime.

import { asList, asObject, asText } from "../canonical.js";
import { concat, fromHex, sha256Hex } from "../digests.js";
import { FormatError } from "../errors.js";
import { checkPath, compareCodePoints } from "../manifest.js";
import { digest, oneOf, readForm, size, text } from "./fields.js";

export const PORTABLE = "portable";
export const NATIVE = "native";
export const LEVELS = Object.freeze(["disabled", "basic", "extended", "layout", "all"]);
const MAX_THREADS = 1024;
const RUNTIME = ["kind", "name", "version", "files", "digest", "options"];

/**
 * The newest checkpoint that the signer had seen: the statement is not older than it.
 *
 * @typedef {{origin: string, treeSize: number, rootHash: string}} Observed
 */
/**
 * The file that ran: its path in the model folder and its hex SHA-256.
 *
 * @typedef {{path: string, sha256: string}} Graph
 */
/**
 * A set of tensors: by its digest, or (private) by a commitment to that digest; in hex.
 *
 * @typedef {{form: "digest" | "commitment", sha256: string}} TensorSet
 */
/**
 * What ran the graph, by the digest of its files, and every option that moves bits. `files` are
 * sorted by name; `isa`, for `native` only, names the instruction sets; `digest` is the hex SHA-256
 * over the files' raw digests, in name order.
 *
 * @typedef {{kind: string, name: string, version: string,
 *   files: readonly {name: string, sha256: string}[], level: string, threads: number,
 *   isa: readonly string[], digest: string}} Runtime
 */

/** Read the checkpoint seen. @type {(value: unknown, path: string) => Promise<Observed>} */
export function readObserved(value, path) {
  return readForm({ origin: text, treeSize: size, rootHash: digest }, value, path);
}

/** Read the file that ran. @type {(value: unknown, path: string) => Promise<Graph>} */
export function readGraph(value, path) {
  return readForm({ path: readPath, sha256: digest }, value, path);
}

function readPath(value, path) {
  const result = asText(value, path);
  checkPath(result, path);
  return result;
}

/**
 * Read `{"digest": {"sha256": …}}` or `{"commitment": {"sha256": …}}`.
 *
 * @param {unknown} value
 * @param {string} path
 * @returns {TensorSet}
 * @throws {FormatError} neither, or both
 */
export function readTensorSet(value, path) {
  const fields = asObject(value, path, { required: [], optional: ["digest", "commitment"] });
  const forms = Object.keys(fields);
  if (forms.length !== 1) throw new FormatError("is neither a digest nor a commitment", path);
  const [form] = forms;
  return Object.freeze({ form, sha256: readSha256(fields[form], `${path}.${form}`) });
}

function readSha256(value, path) {
  const { sha256 } = asObject(value, path, { required: ["sha256"] });
  return digest(sha256, `${path}.sha256`);
}

/**
 * Read the runtime object.
 *
 * @param {unknown} value
 * @param {string} path
 * @returns {Promise<Runtime>}
 * @throws {FormatError} a field is missing, unknown or wrong, or the digest is not the files'
 */
export async function readRuntime(value, path) {
  const native = value !== null && typeof value === "object" && value.kind === NATIVE;
  const fields = asObject(value, path, { required: native ? [...RUNTIME, "isa"] : RUNTIME });
  const { level, threads } = readOptions(fields.options, `${path}.options`);
  const kind = oneOf(PORTABLE, NATIVE)(fields.kind, `${path}.kind`);
  const name = text(fields.name, `${path}.name`);
  const version = text(fields.version, `${path}.version`);
  const files = readFiles(fields.files, `${path}.files`);
  const isa = native ? readIsa(fields.isa, `${path}.isa`) : Object.freeze([]);
  const found = await runtimeDigest(files);
  if (readSha256(fields.digest, `${path}.digest`) !== found) {
    throw new FormatError("is not the digest over the files", `${path}.digest`);
  }
  return Object.freeze({ kind, name, version, files, level, threads, isa, digest: found });
}

/**
 * Return the hex SHA-256 over the raw digests of a runtime's files, in name order.
 *
 * @param {readonly {name: string, sha256: string}[]} files sorted by name
 * @returns {Promise<string>}
 */
export function runtimeDigest(files) {
  return sha256Hex(concat(files.map((item) => fromHex(item.sha256))));
}

/**
 * Tell whether two runs of one graph and input under both must give the same bits.
 *
 * @param {Runtime} one
 * @param {Runtime} other
 * @returns {boolean}
 */
export function comparable(one, other) {
  const [left, right] = [one, other].map(({ kind, digest: files, level, threads, isa }) =>
    [kind, files, level, threads, ...isa].join("\n"),
  );
  return left === right;
}

function readOptions(value, path) {
  const fields = asObject(value, path, { required: ["graphOptimizationLevel", "threads"] });
  const threads = size(fields.threads, `${path}.threads`);
  if (threads < 1 || threads > MAX_THREADS) {
    throw new FormatError(`is not from 1 to ${MAX_THREADS}`, `${path}.threads`);
  }
  const where = `${path}.graphOptimizationLevel`;
  return { level: oneOf(...LEVELS)(fields.graphOptimizationLevel, where), threads };
}

function readFiles(value, path) {
  const files = [];
  for (const [index, item] of asList(value, path).entries()) {
    const where = `${path}[${index}]`;
    const fields = asObject(item, where, { required: ["name", "sha256"] });
    const name = readPath(fields.name, `${where}.name`);
    if (index && compareCodePoints(files[index - 1].name, name) >= 0) {
      throw new FormatError("the files are not sorted by name, each once", where);
    }
    files.push(Object.freeze({ name, sha256: digest(fields.sha256, `${where}.sha256`) }));
  }
  if (files.length === 0) throw new FormatError("a runtime has a file", path);
  return Object.freeze(files);
}

function readIsa(value, path) {
  return Object.freeze(asList(value, path).map((item, index) => text(item, `${path}[${index}]`)));
}
