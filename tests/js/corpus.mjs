// The log's corpora of lies and odd truths as questions to verdict.mjs.

import { readFileSync, readdirSync } from "node:fs";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";

import { sha256Hex } from "../../static/js/assay/digests.js";
import { OMS, resourcesFrom } from "../../static/js/assay/manifest.js";
import { canonicalJson } from "../../static/js/assay/canonical.js";
import { bytes, json } from "./vectors.mjs";

/**
 * @typedef {{name: string, area: string, check: string, artefact: any, inputs?: any,
 *   expect?: string}} Row
 */

const values = json("log/vectors.json");
const base64 = (/** @type {Uint8Array} */ data) => Buffer.from(data).toString("base64");
const log = (/** @type {string} */ name) => base64(bytes(`log/${name}`));
const LOG = { origin: values.origin, vkey: values.keys.log.vkey };
const VKEYS = ["log", "witness1", "witness2", "witness3"].map((name) => values.keys[name].vkey);
const LEAF = Buffer.from(values.claims.release.leaf_hash, "hex").toString("base64");

/** The families of the corpora in the words of verdict.mjs. */
export const FAMILY = { malformed: "malformed", refused: "refused", misuse: "usage" };

/** @type {Record<string, (row: Row) => any>} */
const ASKED = {
  "bundle.verify": askBundle,
  "tlog-proof.verify": (row) => ({
    ...{ kind: "tlog-proof", data: artefact(row), leaf: LEAF },
    ...{ policy: log("witness-policy.txt"), options: LOG },
  }),
  "note.open": (row) => ({
    ...{ kind: "note", data: artefact(row), options: { vkeys: row.inputs?.vkeys ?? VKEYS } },
  }),
  "checkpoint.verify": (row) => ({
    ...{ kind: "checkpoint", data: artefact(row) },
    ...{ policy: log("witness-policy.txt"), options: LOG },
  }),
  "policy.parse": (row) => ({ kind: "policy", data: artefact(row) }),
  "proof.inclusion": (row) => ({ kind: "inclusion", data: artefact(row) }),
  "proof.consistency": (row) => ({ kind: "consistency", data: artefact(row) }),
};

/** @param {"forged" | "accepted"} corpus @returns {Row[]} */
export function rowsOf(corpus) {
  return json(`log/${corpus}.json`);
}

/**
 * @param {Row} row
 * @returns {Promise<any>} the question, null where no verifier in a browser is asked this
 */
export async function question(row) {
  const ask = ASKED[row.check];
  return ask ? { id: row.name, ...(await ask(row)) } : null;
}

async function askBundle(row) {
  const inputs = row.inputs ?? {};
  const predicateType = inputs.predicateType ?? "urn:assay:release:v1";
  const asked = {
    ...{ kind: "bundle", data: artefact(row) },
    key: given(inputs.key, "signer.pub"),
    trustedRoot: given(inputs.trustedRoot, "trusted_root.json"),
    policy: given(inputs.policy, "witness-policy.txt"),
    options: { predicateType },
  };
  if (predicateType === OMS) return { ...asked, manifest: await folder(inputs.folder) };
  return inputs.file === null ? asked : { ...asked, file: given(inputs.file, "model.onnx") };
}

/** Return the manifest of a folder as the page makes it of the files that were chosen. */
async function folder(wanted = "resnet-tiny") {
  const files = typeof wanted === "string" ? stored(wanted) : Object.entries(wanted);
  const pairs = files.map(async ([name, value]) => [name, await sha256Hex(raw(value))]);
  return base64(canonicalJson(resourcesFrom(await Promise.all(pairs))));
}

function stored(name) {
  const root = fileURLToPath(new URL(`../vectors/log/${name}`, import.meta.url));
  const entries = readdirSync(root, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`)
    .map((path) => [relative(root, path), readFileSync(path)]);
}

function given(value, file) {
  return value === undefined ? log(file) : base64(raw(value));
}

/** @param {Row} row @returns {string} the bytes under test */
export function artefact(row) {
  return base64(raw(row.artefact));
}

/** Return the bytes of a text (UTF-8), of `{"base64": …}`, or of themselves. */
function raw(value) {
  if (typeof value === "string") return new Uint8Array(Buffer.from(value, "utf8"));
  return new Uint8Array(value.base64 === undefined ? value : Buffer.from(value.base64, "base64"));
}
