import assert from "node:assert/strict";
import { test } from "node:test";

import { olderThan, retryAfter } from "../../static/js/pages/ledger.js";
import { isReceipt } from "../../static/js/site.js";

test("a server that does not answer is asked less and less, and at most every minute", () => {
  assert.deepEqual([1, 2, 3, 5, 6, 99].map(retryAfter), [2, 4, 8, 32, 60, 60]);
});

test("rows that went from the page are where its link to older entries leads", () => {
  const here = "https://models.example.org/ledger/?kind=execution&before=12";
  assert.equal(olderThan(here, "340"), "https://models.example.org/ledger/?kind=execution&before=340");
});

test("a pasted receipt is told from what people type", () => {
  const compact = `${"eyJ".repeat(100)}.${"MEUC".repeat(24)}`;
  for (const text of ['{"mediaType": "x"}', "{", compact]) assert.ok(isReceipt(text), text);
  const typed = ["", "7", "ab".repeat(32), "alice/digits", "a.b", `${compact}.x`, "x".repeat(500)];
  for (const text of typed) assert.ok(!isReceipt(text), text);
});
