// Where this browser keeps its signing keys: IndexedDB, which holds CryptoKey objects as they are,
// so that a key that cannot be exported never exists as bytes.

const DATABASE = "assay-keys";
const STORE = "keys";

/**
 * @typedef {object} KeyRecord
 * @property {string} fingerprint hex SHA-256 of the SPKI
 * @property {string} owner the account that the key was made for
 * @property {string} name the device, in the owner's words
 * @property {Uint8Array} spki 91 bytes; a restored private key has no public half
 * @property {CryptoKey} privateKey P-256, not extractable
 * @property {import("./key-backup.js").Backup} backup the wrapped key, to be downloaded again
 * @property {boolean} proved the backup has been restored once
 * @property {string} createdAt RFC 3339
 *
 * @typedef {object} KeyStore
 * @property {() => Promise<KeyRecord[]>} all
 * @property {(fingerprint: string) => Promise<KeyRecord | undefined>} get
 * @property {(record: KeyRecord) => Promise<void>} put
 * @property {(fingerprint: string) => Promise<void>} delete
 */

/**
 * Open the store of this browser.
 *
 * @returns {Promise<KeyStore>}
 * @throws {DOMException} the browser keeps nothing (some private windows)
 */
export async function openKeyStore() {
  const database = await open();
  const run = async (mode, action) => {
    const transaction = database.transaction(STORE, mode);
    const done = new Promise((resolve, reject) => {
      transaction.addEventListener("complete", () => resolve());
      transaction.addEventListener("abort", () => reject(transaction.error));
      transaction.addEventListener("error", () => reject(transaction.error));
    });
    const result = await settled(action(transaction.objectStore(STORE)));
    await done; // a write counts when its transaction is complete, not when the request is
    return result;
  };
  return {
    all: () => run("readonly", (store) => store.getAll()),
    get: (fingerprint) => run("readonly", (store) => store.get(fingerprint)),
    put: (record) => run("readwrite", (store) => store.put(record)),
    delete: (fingerprint) => run("readwrite", (store) => store.delete(fingerprint)),
  };
}

/**
 * Return a store that lives as long as the page; the tests use it in the place of IndexedDB.
 *
 * @returns {KeyStore}
 */
export function memoryKeyStore() {
  const records = new Map();
  return {
    all: async () => [...records.values()].map((record) => structuredClone(record)),
    get: async (fingerprint) => structuredClone(records.get(fingerprint)),
    put: async (record) => void records.set(record.fingerprint, structuredClone(record)),
    delete: async (fingerprint) => void records.delete(fingerprint),
  };
}

function open() {
  const request = indexedDB.open(DATABASE, 1);
  request.addEventListener("upgradeneeded", () => {
    request.result.createObjectStore(STORE, { keyPath: "fingerprint" });
  });
  return settled(request);
}

function settled(request) {
  return new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result));
    request.addEventListener("error", () => reject(request.error));
  });
}
