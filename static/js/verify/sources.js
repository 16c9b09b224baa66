// What the page reads from its own server: never anything of another origin, never more than asked.

import { UnavailableError } from "../assay/errors.js";

const MIB = 2 ** 20;
export const LIMITS = Object.freeze({
  document: MIB,
  bundle: 4 * MIB,
  tile: 256 * 32,
  tensors: 512 * MIB,
  model: 2 ** 30,
  runtimeFile: 64 * MIB,
});

/**
 * Return the address, on this origin, that a reader typed or followed: a path, a whole address of
 * this site, or the id of an execution.
 *
 * @param {string} text
 * @param {string} origin like `https://models.example.org`
 * @returns {string} path and query, "" for an address of another site or none
 */
export function receiptAddress(text, origin) {
  const typed = text.trim();
  if (/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(typed)) return `/executions/${typed}/receipt`;
  if (!typed.startsWith("/") && !typed.startsWith(`${origin}/`)) return "";
  let url;
  try {
    url = new URL(typed, origin);
  } catch {
    return "";
  }
  if (url.origin !== origin) return "";
  const page = /^\/executions\/[0-9a-f-]{36}\/$/.test(url.pathname);
  return page ? `${url.pathname}receipt` : url.pathname + url.search;
}

/**
 * Return the bytes at a path of this site.
 *
 * @param {string} path
 * @param {{limit: number, signal?: AbortSignal, fetch?: typeof fetch}} options `limit` in bytes
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 * @throws {UnavailableError} no answer, another one, or more than `limit` bytes; its `status` is
 *   that of the answer, 0 for none
 */
export async function read(path, { limit, signal, fetch = globalThis.fetch }) {
  const response = await ask(path, fetch, { signal });
  const length = Number(response.headers.get("Content-Length") ?? 0);
  if (length > limit) throw tooLarge(path, limit);
  const parts = [];
  let total = 0;
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await step(reader, path, signal);
    if (done) break;
    total += value.length;
    if (total > limit) {
      void reader.cancel();
      throw tooLarge(path, limit);
    }
    parts.push(value);
  }
  const whole = new Uint8Array(total);
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

/**
 * Return the number of bytes at a path, without reading them.
 *
 * @param {string} path
 * @param {typeof fetch} [fetch]
 * @returns {Promise<number>}
 * @throws as `read`
 */
export async function sizeOf(path, fetch = globalThis.fetch) {
  const response = await ask(path, fetch, { method: "HEAD" });
  return Number(response.headers.get("Content-Length") ?? 0);
}

async function ask(path, fetch, options) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (options.signal?.aborted) throw options.signal.reason;
    throw unavailable(`${path}: no answer (${error?.message ?? "offline"})`);
  }
  if (response.ok) return response;
  throw unavailable(`${path}: the server answered ${response.status}`, response.status);
}

async function step(reader, path, signal) {
  try {
    return await reader.read();
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw unavailable(`${path}: the answer broke off (${error?.message ?? "offline"})`);
  }
}

function tooLarge(path, limit) {
  return unavailable(`${path}: more than ${limit} bytes`);
}

function unavailable(words, status = 0) {
  return Object.assign(new UnavailableError(words), { status });
}

/** The server is asked anew: what a cache remembers is not what it says today. */
export function siteFetch(path, options) {
  return fetch(path, { cache: "no-cache", ...options });
}
