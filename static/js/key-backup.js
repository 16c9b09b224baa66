// The backup of a browser key: PKCS#8 under AES-GCM, under a key that PBKDF2 makes of a passphrase.
//
// The SPKI is the additional data, so that a wrapped key cannot be passed off as another one. The
// file may lie anywhere, and the server may hold a copy: without the passphrase it is noise.

import { decodeBase64, encodeBase64 } from "./assay/base64.js";
import { webCrypto } from "./assay/digests.js";
import { ECDSA, P256, equalBytes, fingerprint, importPublicKey } from "./assay/dsse.js";
import { FormatError, MisuseError, VerificationError } from "./assay/errors.js";

export const ITERATIONS = 600_000;
export const PASSPHRASE_LENGTH = 8;
const FORMAT = "assay-key-backup-v1";
const LEAST_ITERATIONS = 100_000;
const MOST_ITERATIONS = 10_000_000; // a file must not be able to freeze the page
const SALT_BYTES = 32;
const IV_BYTES = 12;

/**
 * @typedef {object} Backup the JSON of a backup file; bytes are base64
 * @property {string} format `assay-key-backup-v1`
 * @property {string} fingerprint
 * @property {string} owner
 * @property {string} name
 * @property {string} spki
 * @property {string} wrapped AES-256-GCM over PKCS#8, with the SPKI as additional data
 * @property {string} salt of PBKDF2-SHA-256
 * @property {number} iterations
 * @property {string} iv 12 bytes
 */

/**
 * Wrap an extractable private key.
 *
 * @param {CryptoKey} privateKey
 * @param {{owner: string, name: string, spki: Uint8Array, passphrase: string,
 *   iterations?: number}} options
 * @returns {Promise<Backup>}
 * @throws {MisuseError} the passphrase is too short
 */
export async function wrapKey(privateKey, options) {
  const { owner, name, spki, passphrase, iterations = ITERATIONS } = options;
  checkPassphrase(passphrase);
  const salt = crypto.getRandomValues(new Uint8Array(SALT_BYTES));
  const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
  const wrapper = await wrappingKey(passphrase, salt, iterations);
  const cipher = { name: "AES-GCM", iv, additionalData: spki };
  const wrapped = await webCrypto().wrapKey("pkcs8", privateKey, wrapper, cipher);
  return {
    format: FORMAT,
    fingerprint: await fingerprint(spki),
    owner,
    name,
    spki: encodeBase64(spki),
    wrapped: encodeBase64(new Uint8Array(wrapped)),
    salt: encodeBase64(salt),
    iterations,
    iv: encodeBase64(iv),
  };
}

/**
 * Return the private key of a backup, not extractable, after it has signed and verified once.
 *
 * @param {Backup} backup as `parseBackup` returns it
 * @param {string} passphrase
 * @returns {Promise<{privateKey: CryptoKey, spki: Uint8Array}>}
 * @throws {VerificationError} another passphrase, an altered file, or a key that is not the SPKI's
 */
export async function unwrapKey(backup, passphrase) {
  const spki = decodeBase64(backup.spki, "spki");
  const wrapper = await wrappingKey(passphrase, decodeBase64(backup.salt), backup.iterations);
  const cipher = { name: "AES-GCM", iv: decodeBase64(backup.iv), additionalData: spki };
  const wrapped = decodeBase64(backup.wrapped);
  let privateKey;
  try {
    const kept = [P256, false, ["sign"]]; // not extractable
    privateKey = await webCrypto().unwrapKey("pkcs8", wrapped, wrapper, cipher, ...kept);
  } catch {
    throw new VerificationError("The passphrase is another one, or the file was altered.");
  }
  await checkPair(privateKey, spki);
  return { privateKey, spki };
}

/**
 * Read a backup file, strictly.
 *
 * @param {string} text
 * @returns {Promise<Backup>}
 * @throws {FormatError} not a backup, or one whose fingerprint is not its key's
 */
export async function parseBackup(text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    throw new FormatError("This file is not a key backup: it is not JSON.");
  }
  if (value?.format !== FORMAT) {
    throw new FormatError(`This file is not a key backup: it does not say ${FORMAT}.`);
  }
  const { iterations } = value;
  for (const field of ["fingerprint", "owner", "name"]) {
    if (typeof value[field] !== "string") throw new FormatError("is not a text", field);
  }
  if (!(Number.isInteger(iterations) && inRange(iterations))) {
    throw new FormatError(`is not from ${LEAST_ITERATIONS} to ${MOST_ITERATIONS}`, "iterations");
  }
  const spki = decodeBase64(value.spki, "spki");
  for (const field of ["wrapped", "salt", "iv"]) decodeBase64(value[field], field);
  if ((await fingerprint(spki)) !== value.fingerprint) {
    throw new FormatError("is not the fingerprint of the key in this file", "fingerprint");
  }
  return value;
}

/**
 * Return the part of a backup that the server keeps: everything but the passphrase.
 *
 * @param {Backup} backup
 * @returns {{wrapped: string, salt: string, iterations: number, iv: string}}
 */
export function serverCopy({ wrapped, salt, iterations, iv }) {
  return { wrapped, salt, iterations, iv };
}

/**
 * Return the backup that a server's copy and the registered key make together, checked like a file.
 *
 * @param {{wrapped: string, salt: string, iterations: number, iv: string}} copy
 * @param {{fingerprint: string, owner: string, name: string, public_key: string}} key with its
 *   `public_key` in PEM
 * @returns {Promise<Backup>}
 * @throws {FormatError} as `parseBackup`
 */
export function backupFromCopy({ wrapped, salt, iterations, iv }, key) {
  const { fingerprint: named, owner, name, public_key: pem } = key;
  const spki = pem.replace(/-----[A-Z ]+-----|\s/g, "");
  const fields = { fingerprint: named, owner, name, spki, wrapped, salt, iterations, iv };
  return parseBackup(renderBackup({ format: FORMAT, ...fields }));
}

/**
 * @param {Backup} backup
 * @returns {string} the text of the file
 */
export function renderBackup(backup) {
  return `${JSON.stringify(backup, null, 2)}\n`;
}

/**
 * @param {string} passphrase
 * @throws {MisuseError} shorter than 8 characters
 */
export function checkPassphrase(passphrase) {
  if (Array.from(passphrase).length < PASSPHRASE_LENGTH) {
    const words = `A passphrase has at least ${PASSPHRASE_LENGTH} characters`;
    throw new MisuseError(`${words}: it is all that protects the file.`);
  }
}

/** Check that the private key signs for the public one. */
async function checkPair(privateKey, spki) {
  const message = crypto.getRandomValues(new Uint8Array(32));
  const signature = await webCrypto().sign(ECDSA, privateKey, message);
  const publicKey = await importPublicKey(spki);
  const exported = new Uint8Array(await webCrypto().exportKey("spki", publicKey));
  const good = await webCrypto().verify(ECDSA, publicKey, signature, message);
  if (!good || !equalBytes(exported, spki)) {
    throw new VerificationError("The private key in this file belongs to another public key.");
  }
}

async function wrappingKey(passphrase, salt, iterations) {
  // One passphrase typed on two systems may come in two Unicode forms.
  const bytes = new TextEncoder().encode(passphrase.normalize("NFKC"));
  const base = await webCrypto().importKey("raw", bytes, "PBKDF2", false, ["deriveKey"]);
  return webCrypto().deriveKey(
    { name: "PBKDF2", hash: "SHA-256", salt, iterations },
    base,
    { name: "AES-GCM", length: 256 },
    false,
    ["wrapKey", "unwrapKey"],
  );
}

function inRange(iterations) {
  return iterations >= LEAST_ITERATIONS && iterations <= MOST_ITERATIONS;
}
