// The REST API of this site: JSON in, JSON out, one kind of error.

const BASE = "/api/v1/";

/**
 * What the server answered instead of what was asked for. `status` is 0 when no answer came;
 * `code` is stable, `message` is for people, `detail` is about this case.
 */
export class ApiError extends Error {
  /**
   * @param {{status: number, code: string, message: string, detail?: Record<string, unknown>,
   *   retryAfterS?: number}} problem
   */
  constructor({ status, code, message, detail = {}, retryAfterS = 0 }) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.retryAfterS = retryAfterS;
  }

  /** True when the same request may succeed a little later. */
  get passing() {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

/**
 * @typedef {{json?: unknown, body?: BodyInit, headers?: Record<string, string>,
 *   signal?: AbortSignal}} RequestOptions
 * @typedef {(method: string, path: string, options?: RequestOptions) => Promise<any>} Request
 */

/**
 * Call `/api/v1/<path>` as the logged-in user and return the JSON of the answer.
 *
 * @type {Request}
 * @throws {ApiError} any answer but 2xx, or none
 */
export function request(method, path, options = {}) {
  return requestFrom(BASE, method, path, options);
}

/**
 * Call `base` + `path`; `request` is this with the site's own base.
 *
 * @param {string} base
 * @param {string} method
 * @param {string} path
 * @param {RequestOptions} options
 * @returns {Promise<any>}
 * @throws {ApiError} any answer but 2xx, or none
 */
export async function requestFrom(base, method, path, { json, body, headers, signal } = {}) {
  const sent = { Accept: "application/json", ...headers };
  if (json !== undefined) sent["Content-Type"] = "application/json";
  if (method !== "GET") sent["X-CSRFToken"] = csrfToken();
  const content = json === undefined ? body : JSON.stringify(json);
  let response;
  try {
    response = await fetch(base + path, {
      method,
      headers: sent,
      body: content,
      signal,
      credentials: "same-origin",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError({ status: 0, code: "offline", message: "The server did not answer." });
  }
  const value = await readJson(response, signal);
  if (!response.ok) throw problemOf(response, value);
  return value;
}

/**
 * Return the CSRF token: of the cookie, else of a form on the page.
 *
 * @returns {string}
 */
export function csrfToken() {
  const page = globalThis.document;
  const cookie = page?.cookie.match(/(?:^|; )csrftoken=([^;]+)/);
  return cookie?.[1] ?? page?.querySelector("input[name=csrfmiddlewaretoken]")?.value ?? "";
}

/**
 * Return a path of the API with each part escaped: `path("keys", fingerprint)`.
 *
 * @param {...string} parts
 * @returns {string}
 */
export function path(...parts) {
  return parts.map((part) => part.split("/").map(encodeURIComponent).join("/")).join("/");
}

async function readJson(response, signal) {
  if (response.status === 204) return null;
  try {
    return await response.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    if (!response.ok) return null;
    const message = "The server's answer broke off or was not JSON.";
    throw new ApiError({ status: 0, code: "bad_answer", message });
  }
}

function problemOf(response, value) {
  // The API says {"error": {...}}, the inference addresses {"error": "...", "code": "..."}.
  const told = value?.error;
  const error = typeof told === "string" ? { ...value, message: told } : told;
  return new ApiError({
    status: response.status,
    code: error?.code ?? `http_${response.status}`,
    message: error?.message ?? `The server answered ${response.status}.`,
    detail: error?.detail ?? {},
    retryAfterS: Number(response.headers.get("Retry-After")) || 0,
  });
}
