// One call of the Open Inference Protocol, and the words around it.

import { ApiError } from "./api.js";
import { parseExact } from "./exact-json.js";
import { pauseFor } from "./waiting.js";

const MOST_INLINE = 4_000; // characters of a request that a command line may hold

/**
 * Return the address that runs a release.
 *
 * @param {string} model `owner/name`
 * @param {string} version
 * @returns {string}
 */
export function inferAddress(model, version) {
  const name = encodeURIComponent(model.replace("/", "--"));
  const part = version ? `/versions/${encodeURIComponent(version)}` : "";
  return `/v2/models/${name}${part}/infer`;
}

/**
 * Return the address that runs a release for the person who is signed in here.
 *
 * @param {string} model `owner/name`
 * @param {string} version
 * @returns {string}
 */
export function sessionAddress(model, version) {
  return `/models/${model}/run/${encodeURIComponent(version)}/infer`;
}

/**
 * Run a model.
 *
 * @param {string} address
 * @param {string} body the request, JSON
 * @param {Record<string, string>} [extra] headers beside the content type
 * @returns {Promise<{answer: any, text: string}>} `text` is the answer as it came: its numbers are
 *   exact where JavaScript's are not
 * @throws {ApiError} any answer but 200, or none
 */
export async function infer(address, body, extra = {}) {
  let response;
  let text;
  try {
    const headers = { "Content-Type": "application/json", ...extra };
    response = await fetch(address, { method: "POST", headers, body });
    text = await response.text();
  } catch {
    const message = "The server did not answer. Nothing is lost: send it again.";
    throw new ApiError({ status: 0, code: "offline", message });
  }
  const answer = parse(text);
  if (response.ok && Array.isArray(answer?.outputs)) return { answer, text };
  const retryAfterS = Number(response.headers.get("Retry-After")) || 0;
  throw new ApiError({
    status: response.status,
    code: answer?.code ?? `http_${response.status}`,
    message: answer?.error ?? `The server answered ${response.status}.`,
    detail: {
      ...(answer?.code ? { code: answer.code } : {}),
      ...(retryAfterS ? { "try again in": `${retryAfterS} s` } : {}),
    },
    retryAfterS,
  });
}

/**
 * Return the shell line that sends the same request.
 *
 * @param {string} url absolute
 * @param {string} body
 * @returns {string}
 */
export function curlLine(url, body) {
  if (body.length > MOST_INLINE) return `curl -f '${url}' \\\n  -d @request.json`;
  return `curl -f '${url}' \\\n  -d '${body.replaceAll("'", `'\\''`)}'`;
}

/**
 * Wait until a checkpoint covers an execution's entry.
 *
 * @param {string} receiptUrl
 * @param {{rounds?: number, waitS?: number, pause?: (seconds: number) => Promise<void>}} [options]
 * @returns {Promise<{index: string, size: string} | null>} null: not within the rounds
 */
export async function waitIncluded(receiptUrl, options = {}) {
  const { rounds = 6, waitS = 20, pause = pauseFor } = options;
  for (let round = 0; round < rounds; round += 1) {
    const response = await fetch(`${receiptUrl}?wait=${waitS}`).catch(() => null);
    if (response?.ok) return readInclusion(await response.json());
    if (response && response.status < 500 && response.status !== 404) return null;
    // "Not yet" is 404. An answer that came at once would come at once again.
    await pause(2 ** Math.min(round, 4));
  }
  return null;
}

/** Return index and tree size of a Sigstore bundle; absent numbers are zero. */
function readInclusion(bundle) {
  const entry = bundle?.verificationMaterial?.tlogEntries?.[0];
  return { index: entry?.logIndex ?? "0", size: entry?.inclusionProof?.treeSize ?? "0" };
}

function parse(text) {
  try {
    return parseExact(text);
  } catch {
    return null;
  }
}
