// SHA-256 of a whole file and of its parts in one pass, a chunk in memory at a time.

import { toHex } from "./assay/digests.js";

export const CHUNK_BYTES = 8 * 2 ** 20;
export const PART_BYTES = 8 * 2 ** 20; // of an upload that is not huge

/**
 * @typedef {{init(): Hasher, update(data: Uint8Array): Hasher, digest(form: "binary"): Uint8Array}}
 *   Hasher as hash-wasm's `createSHA256` makes it
 * @typedef {{sha256: string, size: number, partSize: number, parts: string[]}} Hashed `sha256` in
 *   hex, `parts` the digest of each part in lower-case hex
 */

/**
 * Hash `file` once: the whole, and each `partSize` bytes of it.
 *
 * @param {Blob} file
 * @param {{partSize?: number, chunkSize?: number, createSHA256: () => Promise<Hasher>,
 *   onProgress?: (hashed: number) => void}} options `hashed` is in bytes
 * @returns {Promise<Hashed>}
 */
export async function hashFile(file, options) {
  const { partSize = PART_BYTES, chunkSize = CHUNK_BYTES, createSHA256, onProgress } = options;
  const whole = (await createSHA256()).init();
  // A file of one part is hashed once: its part is the whole.
  const part = file.size > partSize ? (await createSHA256()).init() : null;
  const parts = [];
  for (let start = 0; start < file.size; ) {
    const partEnd = Math.min((Math.floor(start / partSize) + 1) * partSize, file.size);
    const end = Math.min(start + chunkSize, partEnd);
    const chunk = new Uint8Array(await file.slice(start, end).arrayBuffer());
    whole.update(chunk);
    part?.update(chunk);
    if (part && end === partEnd) {
      parts.push(toHex(part.digest("binary")));
      part.init();
    }
    start = end;
    onProgress?.(end);
  }
  const sha256 = toHex(whole.digest("binary"));
  if (!part && file.size > 0) parts.push(sha256);
  return { sha256, size: file.size, partSize, parts };
}
