// The hasher that hash-wasm makes, over node's own SHA-256.

import { createHash } from "node:crypto";

/** @returns {Promise<import("../../static/js/hashing.js").Hasher>} */
export async function createSHA256() {
  let state = createHash("sha256");
  const hasher = {
    init: () => {
      state = createHash("sha256");
      return hasher;
    },
    update: (data) => {
      state.update(data);
      return hasher;
    },
    digest: () => new Uint8Array(state.digest()),
  };
  return hasher;
}
