// Upload one file: declare it by its digest, send the missing parts, let the server hash the whole.
//
// Nothing is lost by a broken connection: parts are idempotent and come in any order, each is sent
// again after a network error or a 5xx, and declaring the same content again takes up the upload
// where it was, on any device. The steps:
//
//   1. POST uploads            "stored": the server has it, and says so to those who may use it;
//                              else an upload, new or begun earlier, and which parts are missing
//   2. PUT  uploads/<id>/parts/<n>   with the part's Content-Digest (RFC 9530), three at a time
//   3. POST uploads/<id>/complete    the server hashes the whole: at once, or while we ask (GET)

import { ApiError } from "./api.js";
import { encodeBase64 } from "./assay/base64.js";
import { fromHex } from "./assay/digests.js";
import { PART_BYTES } from "./hashing.js";
import { pauseFor } from "./waiting.js";

const PARALLEL = 3;
const ATTEMPTS = 6;
const ROUNDS = 3;
const MOST_PARTS = 10_000; // of one upload, as the server has it
const FINAL = ["stored", "failed"];
const FIRST_DELAY_S = 0.5;
const LONGEST_DELAY_S = 15;

/**
 * @typedef {import("./hashing.js").Hashed} Hashed
 * @typedef {{kind: "stored", sent: number} | {kind: "checking"}
 *   | {kind: "resumed", missing: number, parts: number}
 *   | {kind: "sending", sent: number, size: number}
 *   | {kind: "retrying", part: number, attempt: number, reason: string}} UploadEvent
 *   `sent` and `size` are bytes while sending, `sent` counts parts when stored
 */

/**
 * @typedef {object} Options
 * @property {import("./api.js").Request} request
 * @property {(partSize: number) => Promise<Hashed>} rehash hash again, by other parts
 * @property {(event: UploadEvent) => void} [onEvent]
 * @property {AbortSignal} [signal]
 * @property {(seconds: number, signal?: AbortSignal) => Promise<void>} [pause]
 */

/**
 * Bring `file` to the server; return how many parts had to be sent (0: it was stored already).
 *
 * @param {Blob} file
 * @param {Hashed} hashed what `hashFile` said of it
 * @param {Options} options
 * @returns {Promise<{sha256: string, sent: number}>}
 * @throws {ApiError} refused; `digest_mismatch` has both digests in `detail`
 */
export async function uploadFile(file, hashed, options) {
  const call = caller(options);
  let sent = 0;
  for (let round = 1; ; round += 1) {
    try {
      sent += await uploadOnce(call, file, hashed, options);
      options.onEvent?.({ kind: "stored", sent });
      return { sha256: hashed.sha256, sent };
    } catch (error) {
      // The server has lost a part, or another tab completed the upload: ask again what is missing.
      const conflict = error instanceof ApiError && error.code === "conflict";
      if (!conflict || round === ROUNDS) throw error;
    }
  }
}

/**
 * Return the size of the parts that an upload of `size` bytes asks for.
 *
 * @param {number} size bytes
 * @returns {number} bytes
 */
export function partSizeFor(size) {
  let partSize = PART_BYTES;
  while (size > partSize * MOST_PARTS) partSize *= 2;
  return partSize;
}

/** Return `request` with back-off: again after no answer, 408, 429 and 5xx. */
function caller({ request, signal, onEvent, pause = pauseFor }) {
  return async (method, path, { part = -1, ...rest } = {}) => {
    for (let attempt = 1; ; attempt += 1) {
      signal?.throwIfAborted();
      try {
        return await request(method, path, { ...rest, signal });
      } catch (error) {
        if (!(error instanceof ApiError) || !error.passing || attempt === ATTEMPTS) throw error;
        onEvent?.({ kind: "retrying", part, attempt, reason: error.message });
        await pause(error.retryAfterS || delay(attempt), signal);
      }
    }
  };
}

function delay(attempt) {
  const longest = Math.min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** (attempt - 1));
  return longest * (0.5 + Math.random() / 2); // spread, so that parts do not come back together
}

async function uploadOnce(call, file, hashed, options) {
  const json = { size: hashed.size, sha256: hashed.sha256, part_size: hashed.partSize };
  const upload = await call("POST", "uploads", { json });
  if (upload.state === "stored") return 0;
  const { id, missing, part_size: partSize = hashed.partSize } = upload;
  const parts = Math.ceil(hashed.size / partSize);
  if (missing.length < parts) {
    options.onEvent?.({ kind: "resumed", missing: missing.length, parts });
  }
  const byPart = partSize === hashed.partSize ? hashed : await options.rehash(partSize);
  await sendParts(call, file, byPart, id, missing, options);
  options.onEvent?.({ kind: "checking" });
  await settle(call, await call("POST", `uploads/${id}/complete`), hashed, options);
  return missing.length;
}

async function sendParts(call, file, hashed, id, missing, { onEvent }) {
  const queue = [...missing];
  const sizeOf = (number) => Math.min(hashed.partSize, file.size - number * hashed.partSize);
  let sent = file.size - missing.reduce((sum, number) => sum + sizeOf(number), 0);
  onEvent?.({ kind: "sending", sent, size: file.size });
  const sendNext = async () => {
    for (let number = queue.shift(); number !== undefined; number = queue.shift()) {
      await sendPart(call, file, hashed, id, number);
      sent += sizeOf(number);
      onEvent?.({ kind: "sending", sent, size: file.size });
    }
  };
  try {
    await Promise.all(Array.from({ length: PARALLEL }, sendNext));
  } catch (error) {
    queue.length = 0; // the other two stop after the part they are at
    throw error;
  }
}

async function sendPart(call, file, hashed, id, number) {
  const digest = encodeBase64(fromHex(hashed.parts[number]));
  const start = number * hashed.partSize;
  // Read before sending: a file that has changed on disk says so, and not "no answer".
  const body = await file.slice(start, start + hashed.partSize).arrayBuffer();
  return call("PUT", `uploads/${id}/parts/${number}`, {
    body,
    headers: {
      "Content-Type": "application/octet-stream",
      "Content-Digest": `sha-256=:${digest}:`,
    },
    part: number,
  });
}

async function settle(call, answer, hashed, { pause = pauseFor, signal }) {
  let upload = answer;
  for (let wait = FIRST_DELAY_S; !FINAL.includes(upload.state); wait = Math.min(wait * 1.5, 5)) {
    await pause(wait, signal);
    upload = await call("GET", `uploads/${answer.id}`);
  }
  if (upload.state === "stored") return;
  const { code, message, detail } = upload.error ?? {};
  throw new ApiError({
    status: 400,
    code: code ?? "digest_mismatch",
    message: message ?? "What arrived at the server has another digest than what was hashed here.",
    detail: { expected: hashed.sha256, ...detail },
  });
}
