import assert from "node:assert/strict";
import { test } from "node:test";

import { toHex } from "../../static/js/assay/digests.js";
import { FormatError, MisuseError, UnavailableError } from "../../static/js/assay/errors.js";
import { checkConsistency, proveConsistency, rootFrom } from "../../static/js/assay/merkle.js";
import { TileReader, tilePath } from "../../static/js/assay/tiles.js";
import { bytes } from "./vectors.mjs";

const SIZE = 259n;

/** The committed log's tiles; `missing` are paths that it does not answer. */
function source(missing = []) {
  const asked = [];
  const read = async (path) => {
    asked.push(path);
    if (missing.includes(path)) throw new UnavailableError(`${path}: 404`);
    return new Uint8Array(bytes(`log/${path}`));
  };
  return { asked, read };
}

test("a tile has one path", () => {
  assert.equal(tilePath(0, 0), "tile/0/000");
  assert.equal(tilePath(0, 1067, 3), "tile/0/x001/067.p/3");
  assert.equal(tilePath(2, 1234067), "tile/2/x001/x234/067");
});

test("the tiles give the signed root, each read once", async () => {
  const { asked, read } = source();
  const reader = new TileReader(read, SIZE);
  const found = toHex(await rootFrom(SIZE, reader));
  const signed = bytes("log/checkpoint").toString().split("\n")[2];
  assert.equal(Buffer.from(found, "hex").toString("base64"), signed);
  await rootFrom(SIZE, reader);
  assert.equal(new Set(asked).size, asked.length);
});

test("a proof out of tiles leads the older checkpoint to the newer one", async () => {
  const [old, now] = ["checkpoint.200", "checkpoint"].map((name) =>
    Buffer.from(bytes(`log/${name}`).toString().split("\n")[2], "base64"),
  );
  const proof = await proveConsistency(200n, SIZE, new TileReader(source().read, SIZE));
  await checkConsistency(200n, old, SIZE, now, proof);
});

test("a partial tile that the log dropped is cut from the full one", async () => {
  // The tree of 100 leaves asks for the partial tile of its day, which nobody keeps any more.
  const { asked, read } = source(["tile/0/000.p/100"]);
  await rootFrom(100n, new TileReader(read, 100n));
  assert.deepEqual(asked, ["tile/0/000.p/100", "tile/0/000"]);
});

test("mallory's tile is refused by its width, and what cannot be had is said", async () => {
  const short = new TileReader(async () => new Uint8Array(32), SIZE);
  await assert.rejects(short.read(0, 0), FormatError);
  const none = new TileReader(source(["tile/0/000"]).read, SIZE);
  await assert.rejects(none.read(0, 0), UnavailableError);
  const reader = new TileReader(source().read, SIZE);
  for (const [level, index] of [[0, 259], [8, 1], [-1, 0], [0, -1]]) {
    await assert.rejects(reader.read(level, index), MisuseError);
  }
  assert.throws(() => new TileReader(source().read, 2n ** 53n), MisuseError);
});
