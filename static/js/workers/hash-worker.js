// A module worker that hashes files: its own responses alone allow WebAssembly.
//
// In:  {id, file, partSize}
// Out: {id, kind: "progress", hashed} · {id, kind: "done", result} · {id, kind: "error", message}

import { createSHA256 } from "../../vendor/hash-wasm-4.13.0/index.esm.min.js";
import { hashFile } from "../hashing.js";

self.addEventListener("message", async ({ data: { id, file, partSize } }) => {
  const onProgress = (hashed) => self.postMessage({ id, kind: "progress", hashed });
  try {
    const result = await hashFile(file, { partSize, createSHA256, onProgress });
    self.postMessage({ id, kind: "done", result });
  } catch (error) {
    self.postMessage({ id, kind: "error", message: String(error?.message ?? error) });
  }
});
