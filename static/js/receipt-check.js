// Does the signed statement in an answer name the input that was sent and the output that came?
//
// Both tensor digests are computed here. Who signed is not checked here: that is what
// `assay verify` and the execution's page are for.

import { decodeBase64Url } from "./assay/base64.js";
import { FormatError } from "./assay/errors.js";
import { tensorFromJson } from "./assay/oip.js";
import { tensorDigest } from "./assay/tensors.js";

/** @typedef {{state: "checked" | "failed" | "unknown", words: string}} Check */

/**
 * Compare an answer with the statement in its `parameters.receipt`.
 *
 * @param {{inputs: object[]}} sent
 * @param {{outputs: object[], parameters?: {receipt?: string}}} answer
 * @returns {Promise<Check>}
 */
export async function checkAnswer(sent, answer) {
  try {
    const { predicate, subject } = readStatement(answer.parameters?.receipt);
    for (const [what, claimed, tensors] of [
      ["input that was sent", predicate.input, sent.inputs],
      ["output shown here", predicate.output, answer.outputs],
    ]) {
      const named = claimed?.digest?.sha256;
      if (!named) return unknown(`the statement hides the ${what} behind a commitment.`);
      const found = await tensorDigest(tensors.map(tensorFromJson));
      if (found !== named) {
        const words = `the statement names ${named}, the ${what} hashes to ${found}.`;
        return { state: "failed", words };
      }
    }
    if (subject?.[0]?.digest?.sha256 !== predicate.output.digest.sha256) {
      return { state: "failed", words: "the statement's subject is not its output." };
    }
    const words = "the signed statement names the input that was sent and the output shown here.";
    return { state: "checked", words };
  } catch (error) {
    return unknown(`the digests could not be compared: ${error.message}`);
  }
}

/**
 * Return the statement in a compact receipt, `base64url(statement).base64url(signature)`.
 *
 * @param {unknown} compact
 * @returns {any}
 * @throws {FormatError} not two parts, or not JSON
 */
export function readStatement(compact) {
  const parts = typeof compact === "string" ? compact.split(".") : [];
  if (parts.length !== 2) throw new FormatError("the answer carries no receipt");
  const payload = decodeBase64Url(parts[0], "receipt");
  return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload));
}

function unknown(words) {
  return { state: "unknown", words };
}
