import assert from "node:assert/strict";
import { test } from "node:test";

import { fromInput, skipReason } from "../../static/js/chosen-files.js";
import { evidenceWords, formatBytes } from "../../static/js/dom.js";
import { relativeWords } from "../../static/js/site.js";

test("a chosen folder's own name is no part of the paths", () => {
  const file = (name, webkitRelativePath = "") => ({ name, webkitRelativePath });
  const chosen = fromInput([
    file("model.onnx", "resnet/model.onnx"),
    file("part-0.bin", "resnet/weights/part-0.bin"),
    file("README.md"),
    file("cafe\u0301.txt"),
  ]);
  const paths = chosen.map(({ path }) => path);
  assert.deepEqual(paths, ["model.onnx", "weights/part-0.bin", "README.md", "caf\u00e9.txt"]);
});

test("what no model needs is left out, and the reader is told why", () => {
  assert.match(skipReason(".git/config"), /Git/);
  assert.match(skipReason("sub/.GIT/x"), /Git/);
  assert.match(skipReason("model.sig"), /registry/);
  assert.match(skipReason("a/.DS_Store"), /operating system/);
  for (const path of [".gitattributes", "sub/model.sig", "README.md", "git/x"]) {
    assert.equal(skipReason(path), "", path);
  }
});

test("evidence says who checked, and when", () => {
  const noon = new Date(Date.UTC(2026, 0, 1, 14, 2, 31));
  assert.equal(evidenceWords("checked", "the bytes", noon), "checked here 14:02:31 UTC: the bytes");
  assert.equal(evidenceWords("server", "entry 7"), "server says: entry 7");
  assert.equal(evidenceWords("unknown", "offline"), "could not check: offline");
});

test("sizes are told in powers of 1000", () => {
  const words = [0, 999, 1000, 1_440_000, 5e12, 5e16].map(formatBytes);
  assert.deepEqual(words, ["0 B", "999 B", "1.0 kB", "1.4 MB", "5.0 TB", "50000.0 TB"]);
});

test("times are told from now", () => {
  const words = [-5, -90, -3700, -200_000, 30, 7200].map(relativeWords);
  assert.deepEqual(words, [
    ...["just now", "1 minute ago", "1 hour ago", "2 days ago"],
    ...["in a moment", "in 2 hours"],
  ]);
});
