// The predicates of Assay's seven kinds: `urn:assay:<kind>:v1`.
//
// Each form lists its fields by their JSON names. Every predicate carries `observed`, every time is
// RFC 3339 in UTC with milliseconds, and unknown fields are refused.

import { FormatError } from "../errors.js";
import { digest, jsonObject, model, nullable, oneOf, readForm } from "./fields.js";
import { revision, text, time, uuid7 } from "./fields.js";
import { readGraph, readObserved, readRuntime, readTensorSet } from "./parts.js";

export const RELEASE = "urn:assay:release:v1";
export const CARD = "urn:assay:card:v1";
export const ALIAS = "urn:assay:alias:v1";
export const EXECUTION = "urn:assay:execution:v1";
export const REPLAY = "urn:assay:replay:v1";
export const KEY = "urn:assay:key:v1";
export const MODERATION = "urn:assay:moderation:v1";

export const ROLES = Object.freeze(["publisher", "executor", "auditor", "registry"]);
export const KEY_ACTIONS = Object.freeze(["register", "supersede", "revoke"]);
export const MODERATION_ACTIONS = Object.freeze([
  ...["hide", "restore", "takedown", "suspend", "reinstate"],
]);
export const VERDICTS = Object.freeze(["exact", "close", "diverged", "unrunnable"]);

const FORMS = new Map([
  // A publisher releases a revision; the subjects are its files, by plain SHA-256.
  [
    RELEASE,
    {
      observed: readObserved,
      model,
      revision,
      version: text,
      manifest: digest,
      card: digest,
      license: text,
      previous: nullable(revision),
    },
  ],
  // A publisher stands by a model card; the subject is README.md.
  [CARD, { observed: readObserved, model, revision, manifest: digest, metadata: jsonObject }],
  // A publisher points a name at a revision; the subject is the manifest digest.
  [ALIAS, { observed: readObserved, model, alias: text, revision, previous: nullable(revision) }],
  // An executor ran a graph on an input; the subject is `output.tensors` or its commitment.
  [
    EXECUTION,
    {
      observed: readObserved,
      execution: uuid7,
      model,
      revision,
      manifest: digest,
      graph: readGraph,
      input: readTensorSet,
      output: readTensorSet,
      runtime: readRuntime,
      startedOn: time,
      finishedOn: time,
      trace: nullable(digest),
    },
  ],
  // An auditor ran an execution again; `statement` is the hex SHA-256 of the replayed one's PAE.
  [
    REPLAY,
    {
      observed: readObserved,
      execution: uuid7,
      statement: digest,
      verdict: oneOf(...VERDICTS),
      runtime: readRuntime,
      output: nullable(readTensorSet),
      firstDivergence: nullable(text),
    },
  ],
  // A key is registered, superseded or revoked; the subject is its SPKI DER.
  [
    KEY,
    {
      observed: readObserved,
      action: oneOf(...KEY_ACTIONS),
      owner: text,
      role: oneOf(...ROLES),
      publicKey: text,
      previous: nullable(digest),
    },
  ],
  // The registry acted on something; the subject is that thing, `reason` the public text.
  [
    MODERATION,
    {
      observed: readObserved,
      action: oneOf(...MODERATION_ACTIONS),
      category: text,
      reason: text,
    },
  ],
]);

/**
 * Return the predicate of `statement`, its fields checked.
 *
 * @param {import("./statement.js").Statement} statement
 * @returns {Promise<Record<string, any>>}
 * @throws {FormatError} a type that is none of Assay's, or a predicate that is not its form
 */
export function parsePredicate(statement) {
  return readPredicate(statement.predicateType, statement.predicate);
}

/**
 * Read `value` as a predicate of `kind`.
 *
 * @param {string} kind
 * @param {unknown} value
 * @returns {Promise<Record<string, any>>}
 * @throws {FormatError} as `parsePredicate`
 */
export async function readPredicate(kind, value) {
  const form = FORMS.get(kind);
  if (!form) throw new FormatError(`'${kind}' is not a kind of Assay`, "predicateType");
  return readForm(form, value, "predicate");
}
