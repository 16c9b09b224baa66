// A file of the reader's, or an answer of this site, read once: its bytes and their SHA-256.
//
// Bytes and hash come from the same pass, so what was compared is what runs.

import { UnavailableError, VerificationError } from "../assay/errors.js";

/**
 * @typedef {{blob?: Blob, url?: string}} Source one of the two
 * @typedef {{bytes: Uint8Array<ArrayBuffer>, sha256: string}} Hashed
 */

/**
 * @typedef {object} Reading
 * @property {string} name what it is, for the words of an error
 * @property {() => Promise<any>} createSHA256 hash-wasm's
 * @property {(done: number, total: number) => void} [onProgress] `total` 0: not known
 */

/**
 * Return the hex SHA-256 of `source`, of any size.
 *
 * @param {Source} source
 * @param {Reading} reading
 * @returns {Promise<string>}
 * @throws {UnavailableError} no answer, or a file that cannot be read
 */
export async function hash(source, reading) {
  const { stream, size } = await open(source, reading.name);
  return pass(stream, size, reading, () => {});
}

/**
 * Read `source` whole.
 *
 * @param {Source} source
 * @param {Reading & {limit: number}} reading `limit` in bytes
 * @returns {Promise<Hashed>}
 * @throws {UnavailableError} no answer, a file that cannot be read, or more than `limit` bytes
 */
export async function readHashed(source, reading) {
  const { name, limit } = reading;
  const { stream, size } = await open(source, name);
  if (size > limit) throw tooLarge(name, size, limit);
  let whole = new Uint8Array(size);
  let end = 0;
  const sha256 = await pass(stream, size, reading, (part) => {
    const needed = end + part.length;
    if (needed > limit) throw tooLarge(name, needed, limit);
    if (needed > whole.length) whole = grown(whole, needed, limit);
    whole.set(part, end);
    end = needed;
  });
  return { bytes: whole.subarray(0, end), sha256 };
}

async function pass(stream, size, { name, createSHA256, onProgress = () => {} }, take) {
  const hasher = (await createSHA256()).init();
  let done = 0;
  for (const reader = stream.getReader(); ; ) {
    const { done: ended, value } = await step(reader, name);
    if (ended) return hasher.digest("hex");
    take(value);
    hasher.update(value);
    done += value.length;
    onProgress(done, size);
  }
}

/**
 * Read `source` and compare it with what a signed statement says of it.
 *
 * @param {Source} source
 * @param {Reading & {limit: number, sha256: string, whose: string}} reading
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 * @throws {VerificationError} other bytes
 * @throws {UnavailableError} as `readHashed`
 */
export async function readChecked(source, reading) {
  const { bytes, sha256 } = await readHashed(source, reading);
  if (sha256 !== reading.sha256) {
    const message = `${reading.name} is not ${reading.whose}`;
    throw new VerificationError(message, { expected: reading.sha256, found: sha256 });
  }
  return bytes;
}

async function open({ blob, url }, name) {
  if (blob) return { stream: blob.stream(), size: blob.size };
  let response;
  try {
    response = await fetch(url);
  } catch {
    throw new UnavailableError(`${name} cannot be had: no answer from ${url}`);
  }
  if (!response.ok || !response.body) {
    throw new UnavailableError(`${name} cannot be had: ${url} answers ${response.status}`);
  }
  // An answer that is compressed on the way has the length of what was sent.
  const plain = !response.headers.get("Content-Encoding");
  const length = plain ? Number(response.headers.get("Content-Length") ?? 0) : 0;
  return { stream: response.body, size: Number.isSafeInteger(length) ? length : 0 };
}

async function step(reader, name) {
  try {
    return await reader.read();
  } catch (error) {
    throw new UnavailableError(`${name} cannot be read: ${error?.message ?? error}`);
  }
}

function grown(bytes, needed, limit) {
  const larger = new Uint8Array(Math.min(limit, Math.max(needed, 2 * bytes.length, 2 ** 16)));
  larger.set(bytes);
  return larger;
}

function tooLarge(name, size, limit) {
  const words = `${name} has ${size} bytes, and a browser is asked to hold ${limit} at most`;
  return new UnavailableError(`${words}: run \`assay replay\` instead`);
}
