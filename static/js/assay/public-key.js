// P-256 public keys: SubjectPublicKeyInfo, as PEM or DER. One key has one form here, the DER of 91
// bytes with an uncompressed point; the other spellings of a point are read and written as that.

import { decodeBase64, encodeBase64 } from "./base64.js";
import { concat, equalBytes, fromHex, sha256Hex, toHex, webCrypto } from "./digests.js";
import { ECDSA, P256, derToRaw } from "./ecdsa.js";
import { FormatError, MisuseError, VerificationError } from "./errors.js";

const PRIME = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn;
const B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;
const HALF = 32;
const ALGORITHM = "301306072a8648ce3d020106082a8648ce3d030107"; // id-ecPublicKey, prime256v1
const LONG = fromHex(`3059${ALGORITHM}034200`); // then 65 bytes of point
const SHORT = fromHex(`3039${ALGORITHM}032200`); // then 33
const UNCOMPRESSED = 4;
const BEGIN = /^[ \t\n\r\v\f]*-----BEGIN PUBLIC KEY-----/;
const PEM = new RegExp(`${BEGIN.source}[ \\t\\n\\r]*([^]*?)-----END ([^]*?)-----`);
const NOT_ASCII = /[\u0080-\u00ff]/; // of bytes read as Latin-1
const NO_KEY = "no P-256 public key in PEM or DER";

/** A P-256 key. Made by `loadPublicKey`; `fingerprint` is the hex SHA-256 of the SPKI DER. */
export class PublicKey {
  #key;

  /**
   * @param {Uint8Array<ArrayBuffer>} spki 91 bytes
   * @param {string} fingerprint
   * @param {CryptoKey} key
   */
  constructor(spki, fingerprint, key) {
    this.spki = spki;
    this.fingerprint = fingerprint;
    this.#key = key;
    Object.freeze(this);
  }

  /** The SPKI in PEM, with its final newline. */
  get pem() {
    return publicKeyPem(this.spki);
  }

  /**
   * Check the DER `signature` over `message`.
   *
   * @param {Uint8Array} message
   * @param {Uint8Array} signature
   * @returns {Promise<void>}
   * @throws {FormatError} the signature is not strict DER of two numbers below the order
   * @throws {VerificationError} it is another message's, or another key's
   */
  async verify(message, signature) {
    const raw = derToRaw(signature);
    if (!(await webCrypto().verify(ECDSA, this.#key, raw, message))) {
      throw new VerificationError(
        `the signature is not one of key ${this.fingerprint} over these bytes`,
      );
    }
  }
}

/**
 * Return the P-256 public key in `data`: SPKI, as PEM or DER.
 *
 * @param {Uint8Array | string} data
 * @returns {Promise<PublicKey>}
 * @throws {MisuseError} no key, a private key, or a key of another kind
 */
export async function loadPublicKey(data) {
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
  const text = latin1(bytes);
  if (text.includes("PRIVATE KEY-----")) {
    throw new MisuseError("this is a private key: give the public one, and keep that one away");
  }
  const spki = uncompressed(BEGIN.test(text) ? fromPem(text) : bytes);
  const key = await importPublicKey(spki).catch(() => {
    throw new MisuseError(`${NO_KEY}: its point is not on the curve`);
  });
  return new PublicKey(spki, await sha256Hex(spki), key);
}

/**
 * @param {Uint8Array} spki P-256 SubjectPublicKeyInfo in DER, 91 bytes
 * @returns {Promise<CryptoKey>}
 */
export function importPublicKey(spki) {
  return webCrypto().importKey("spki", spki, P256, true, ["verify"]);
}

/**
 * Return the fingerprint of a key: hex SHA-256 of its SPKI DER.
 *
 * @param {Uint8Array} spki
 * @returns {Promise<string>}
 */
export function fingerprint(spki) {
  return sha256Hex(spki);
}

/**
 * Return the key in PEM, with its final newline.
 *
 * @param {Uint8Array} spki
 * @returns {string}
 */
export function publicKeyPem(spki) {
  const lines = encodeBase64(spki).match(/.{1,64}/g) ?? [];
  return `-----BEGIN PUBLIC KEY-----\n${lines.join("\n")}\n-----END PUBLIC KEY-----\n`;
}

function latin1(bytes) {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}

/** Read PEM as the verifier's library does: white space is free, headers and what follows too. */
function fromPem(text) {
  const [, body, label] = PEM.exec(text) ?? [];
  if (label !== "PUBLIC KEY" || NOT_ASCII.test(text)) throw new MisuseError(NO_KEY);
  const blank = /\n\n|\r\n\r\n/.exec(body);
  const headers = blank ? body.slice(0, blank.index).split("\n") : [];
  if (!headers.every((line) => line.includes(":"))) throw new MisuseError(NO_KEY);
  const base64 = blank ? body.slice(blank.index + blank[0].length) : body;
  try {
    return decodeBase64(base64.replace(/[ \t\n\r\v\f]/g, ""));
  } catch (error) {
    if (error instanceof FormatError) throw new MisuseError(`${NO_KEY}: ${error.message}`);
    throw error;
  }
}

/** Return the SPKI with its point as 04 ‖ x ‖ y; whether the point is on the curve is not asked. */
function uncompressed(der) {
  const prefix = [LONG, SHORT].find((known) => equalBytes(der.subarray(0, known.length), known));
  const point = der.subarray(prefix?.length ?? 0);
  const size = prefix === LONG ? 1 + 2 * HALF : 1 + HALF;
  if (!prefix || point.length !== size) throw new MisuseError(NO_KEY);
  const odd = point.at(-1) & 1;
  if (prefix === LONG && point[0] === UNCOMPRESSED) return der.slice();
  // The hybrid form says the parity of y, and y too.
  if (prefix === LONG && point[0] === 6 + odd) {
    return concat([LONG, Uint8Array.of(UNCOMPRESSED), point.subarray(1)]);
  }
  if (prefix === SHORT && (point[0] === 2 || point[0] === 3)) {
    const x = point.subarray(1);
    return concat([LONG, Uint8Array.of(UNCOMPRESSED), x, solve(x, BigInt(point[0] & 1))]);
  }
  throw new MisuseError(NO_KEY);
}

/** Return y of the point with `x` whose y has this parity (SEC 1, section 2.3.4). */
function solve(bytes, parity) {
  const x = BigInt(`0x${toHex(bytes)}`);
  const square = (((x * x * x - 3n * x + B) % PRIME) + PRIME) % PRIME;
  const root = power(square, (PRIME + 1n) / 4n);
  const y = root % 2n === parity ? root : PRIME - root;
  return fromHex(y.toString(16).padStart(2 * HALF, "0"));
}

function power(base, exponent) {
  let [result, factor] = [1n, base];
  for (let left = exponent; left; left >>= 1n) {
    if (left & 1n) result = (result * factor) % PRIME;
    factor = (factor * factor) % PRIME;
  }
  return result;
}
