// In-toto Statement v1, strict.
//
// Signed bytes need not be canonical (model_signing indents them), but they have one meaning: no
// key twice, no field that in-toto does not have, digests in lower case. A subject may carry every
// field of a resource descriptor; what counts is its SHA-256.

import { decodeBase64 } from "../base64.js";
import { asList, asObject, asText, parseJson } from "../canonical.js";
import { parseHex } from "../digests.js";
import { FormatError, VerificationError } from "../errors.js";
import { LIMITS } from "../limits.js";
import { STATEMENT_TYPE } from "../manifest.js";
import { jsonObject } from "./fields.js";

const STATEMENT = ["_type", "subject", "predicateType", "predicate"];
const TEXTS = ["name", "uri", "downloadLocation", "mediaType"];
const SUBJECT = [...TEXTS, "content", "annotations"];

/**
 * What a statement is about: a name (may be empty) and the hex SHA-256 of the bytes. `sha256` is
 * `""` for a subject of someone else's statement that names other digests only; such a subject
 * matches nothing.
 *
 * @typedef {{name: string, sha256: string}} Subject
 */
/**
 * A statement: at least one subject, a predicate type, and the predicate, a JSON object. `digests`
 * are the hex SHA-256 of each subject.
 *
 * @typedef {{subjects: readonly Subject[], predicateType: string,
 *   predicate: Record<string, any>, digests: readonly string[]}} Statement
 */

/**
 * Read the payload of an envelope.
 *
 * @param {Uint8Array} payload
 * @returns {Statement}
 * @throws {FormatError} not a statement in strict JSON
 * @throws {VerificationError} a statement of another version (`_type`)
 */
export function parseStatement(payload) {
  const value = parseJson(payload, { maxBytes: LIMITS.statement, path: "statement" });
  const fields = asObject(value, "statement", { required: STATEMENT });
  const kind = asText(fields._type, "_type");
  const items = asList(fields.subject, "subject");
  if (items.length === 0) throw new FormatError("a statement has a subject", "subject");
  const predicateType = asText(fields.predicateType, "predicateType");
  if (predicateType === "") throw new FormatError("is empty", "predicateType");
  const predicate = jsonObject(fields.predicate, "predicate");
  const subjects = items.map((item, index) => parseSubject(item, `subject[${index}]`));
  if (kind !== STATEMENT_TYPE) {
    throw new VerificationError("another statement type", {
      expected: STATEMENT_TYPE,
      found: kind,
    });
  }
  const digests = Object.freeze(subjects.map(({ sha256 }) => sha256));
  return Object.freeze({ subjects: Object.freeze(subjects), predicateType, predicate, digests });
}

function parseSubject(value, path) {
  const fields = asObject(value, path, { required: ["digest"], optional: SUBJECT });
  for (const name of TEXTS) {
    if (Object.hasOwn(fields, name)) asText(fields[name], `${path}.${name}`);
  }
  if (Object.hasOwn(fields, "content")) decodeBase64(fields.content, `${path}.content`);
  if (Object.hasOwn(fields, "annotations")) jsonObject(fields.annotations, `${path}.annotations`);
  const digests = jsonObject(fields.digest, `${path}.digest`);
  const algorithms = Object.keys(digests);
  if (algorithms.length === 0) {
    throw new FormatError("is not an object with a digest", `${path}.digest`);
  }
  for (const algorithm of algorithms) {
    const where = `${path}.digest.${algorithm}`;
    if (asText(digests[algorithm], where) === "") throw new FormatError("is empty", where);
  }
  const hashed = Object.hasOwn(digests, "sha256");
  if (hashed) parseHex(digests.sha256, `${path}.digest.sha256`);
  const name = Object.hasOwn(fields, "name") ? fields.name : "";
  return Object.freeze({ name, sha256: hashed ? digests.sha256 : "" });
}
