// JSON with the integers that JSON.parse would round: those beyond 2^53 come as texts.

const TOKEN = /"(?:[^"\\]+|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const INTEGER = /^-?\d+$/;
const LARGE = /^-?[1-9]\d{15,}$/;

/**
 * Parse JSON as `JSON.parse` does, but for integers beyond 2^53: they are texts, digit by digit.
 *
 * @param {string} text
 * @returns {any}
 * @throws {SyntaxError} not JSON
 */
export function parseExact(text) {
  const value = JSON.parse(text); // whoever has no such integer pays nothing, and errors are its own
  if (!/\d{16}|-0/.test(text)) return value;
  return JSON.parse(text.replaceAll(TOKEN, spelled));
}

/**
 * Tell whether a value stands for an integer beyond 2^53, as `parseExact` gives it.
 *
 * @param {unknown} value
 * @returns {value is string}
 */
export function isLarge(value) {
  return typeof value === "string" && LARGE.test(value) && !Number.isSafeInteger(Number(value));
}

function spelled(token) {
  if (!INTEGER.test(token)) return token;
  // The server reads -0 as an integer, which has no sign.
  return token === "-0" ? "0" : isLarge(token) ? `"${token}"` : token;
}
