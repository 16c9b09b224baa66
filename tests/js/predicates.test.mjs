// Statements and predicates are read as strictly as `assay.statements` reads them.

import assert from "node:assert/strict";
import { test } from "node:test";

import { FormatError, VerificationError } from "../../static/js/assay/errors.js";
import {
  comparable,
  parsePredicate,
  parseStatement,
  runtimeDigest,
} from "../../static/js/assay/statements/index.js";
import { json, text } from "./vectors.mjs";

const { statements } = json("js/verified.json");
const KINDS = Object.keys(statements);
const NULLABLE = ["previous", "trace", "output", "firstDivergence"];

/** @param {string} kind @returns {any} a copy of the honest statement */
function honest(kind) {
  return JSON.parse(text(statements[kind]));
}

function encoded(value) {
  return new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
}

async function read(value) {
  const statement = parseStatement(encoded(value));
  return parsePredicate(statement);
}

async function malformed(value, why) {
  await assert.rejects(read(value), FormatError, why);
}

/** Bend the honest statement of an execution. */
function bent(change) {
  const value = honest("execution");
  change(value.predicate, value);
  return value;
}

test("there is a statement of each of the seven kinds", () => {
  assert.equal(KINDS.length, 7);
});

for (const kind of KINDS) {
  test(`an honest ${kind} is read, its fields by their names`, async () => {
    const value = honest(kind);
    const predicate = await read(value);
    assert.deepEqual(Object.keys(predicate).sort(), Object.keys(value.predicate).sort());
    assert.deepEqual({ ...predicate.observed }, value.predicate.observed);
    assert.ok(Object.isFrozen(predicate));
  });

  test(`a ${kind} with a field too few, too many or of another type is malformed`, async () => {
    for (const name of Object.keys(honest(kind).predicate)) {
      const [less, other, none] = [honest(kind), honest(kind), honest(kind)];
      delete less.predicate[name];
      other.predicate[name] = 7;
      none.predicate[name] = null;
      await malformed(less, `without ${name}`);
      await malformed(other, `${name} is 7`);
      const nullable = NULLABLE.includes(name) && !(kind === "execution" && name === "output");
      if (nullable) await read(none);
      else await malformed(none, `${name} is null`);
    }
    for (const name of ["extra", "__proto__", "constructor"]) {
      const more = honest(kind);
      Object.defineProperty(more.predicate, name, { value: 1, enumerable: true });
      await malformed(more, `with ${name}`);
    }
  });
}

for (const [what, change] of [
  ["an id of another version", (p) => (p.execution = p.execution.replace("-7", "-4"))],
  ["a model without owner", (p) => (p.model = "add")],
  ["a model as Git names it", (p) => (p.model = "alice/add.git")],
  ["an owner as Git names it", (p) => (p.model = "alice.git/add")],
  ["a model with two dashes", (p) => (p.model = "alice/a--d")],
  ["a model after a newline", (p) => (p.model = "alice/add\n")],
  ["a short revision", (p) => (p.revision = p.revision.slice(1))],
  ["a digest in capitals", (p) => (p.manifest = "AB".repeat(32))],
  ["a graph outside the folder", (p) => (p.graph.path = "../add.onnx")],
  ["a graph without a digest", (p) => delete p.graph.sha256],
  ["two forms of an input", (p) => (p.input.commitment = p.input.digest)],
  ["no form of an input", (p) => (p.input = {})],
  ["another form of an input", (p) => (p.input = { salted: p.input.digest })],
  ["a leap day of another year", (p) => (p.startedOn = "2026-02-29T00:00:00.000Z")],
  ["a leap day of a century", (p) => (p.startedOn = "2100-02-29T00:00:00.000Z")],
  ["a month too many", (p) => (p.startedOn = "2026-13-01T00:00:00.000Z")],
  ["an hour too many", (p) => (p.startedOn = "2026-01-01T24:00:00.000Z")],
  ["a leap second", (p) => (p.startedOn = "2016-12-31T23:59:60.000Z")],
  ["the year 0", (p) => (p.startedOn = "0000-01-01T00:00:00.000Z")],
  ["a time without milliseconds", (p) => (p.finishedOn = "2026-01-01T00:00:00Z")],
  ["a time of another zone", (p) => (p.finishedOn = "2026-01-01T00:00:00.000+00:00")],
  ["a negative tree", (p) => (p.observed.treeSize = -1)],
  ["a tree that no double holds", (p) => (p.observed.treeSize = 2 ** 53)],
  ["a tree as text", (p) => (p.observed.treeSize = "1")],
  ["an origin of no letters", (p) => (p.observed.origin = "")],
  ["an origin that is too long", (p) => (p.observed.origin = "x".repeat(16_385))],
  ["no threads", (p) => (p.runtime.options.threads = 0)],
  ["too many threads", (p) => (p.runtime.options.threads = 1025)],
  ["an unknown level", (p) => (p.runtime.options.graphOptimizationLevel = "most")],
  ["an unknown kind of runtime", (p) => (p.runtime.kind = "borrowed")],
  ["a native runtime without its instructions", (p) => (p.runtime.kind = "native")],
  ["instructions of a portable runtime", (p) => (p.runtime.isa = [])],
  ["a runtime without files", (p) => (p.runtime.files = [])],
  ["runtime files in another order", (p) => p.runtime.files.reverse()],
  ["a runtime file twice", (p) => p.runtime.files.push(p.runtime.files.at(-1))],
  ["another digest over the files", (p) => (p.runtime.digest.sha256 = "ab".repeat(32))],
]) {
  test(`mallory's execution with ${what} is malformed`, () => malformed(bent(change)));
}

test("a number that is spelled as a fraction is no integer", async () => {
  const whole = JSON.stringify(honest("execution"));
  for (const spelled of ["1.0", "1e0", "10e-1"]) {
    await malformed(whole.replace('"treeSize":1', `"treeSize":${spelled}`), spelled);
  }
});

test("a text is counted in characters, not in units of UTF-16", async () => {
  const smile = "\u{1F600}";
  await read(bent((p) => (p.observed.origin = smile.repeat(16_384))));
  await malformed(bent((p) => (p.observed.origin = smile.repeat(16_385))));
});

test("a leap day that exists is a time", async () => {
  for (const day of ["2024-02-29", "2000-02-29"]) {
    await read(bent((p) => (p.startedOn = `${day}T23:59:59.999Z`)));
  }
});

test("a runtime's digest is that over its files, and says what may be compared", async () => {
  const { runtime } = await read(honest("execution"));
  assert.equal(await runtimeDigest(runtime.files), runtime.digest);
  assert.ok(comparable(runtime, { ...runtime, name: "another name" }));
  const { runtime: native } = await read(honest("replay"));
  assert.deepEqual([...native.isa], ["avx2", "fma"]);
  for (const change of [{ threads: 2 }, { level: "basic" }, { isa: ["avx2"] }, native]) {
    assert.ok(!comparable(runtime, { ...runtime, ...change }));
  }
});

// ------------------------------------------------------------------ the statement around it

for (const [what, change] of [
  ["no subject", (s) => (s.subject = [])],
  ["a subject without digest", (s) => delete s.subject[0].digest],
  ["a subject with an empty digest", (s) => (s.subject[0].digest = {})],
  ["a digest of no letters", (s) => (s.subject[0].digest = { sha512: "" })],
  ["a short SHA-256", (s) => (s.subject[0].digest = { sha256: "ab" })],
  ["a digest that is a number", (s) => (s.subject[0].digest = { sha512: 1 })],
  ["a name that is a number", (s) => (s.subject[0].name = 1)],
  ["a name that is null", (s) => (s.subject[0].name = null)],
  ["content that is no base64", (s) => (s.subject[0].content = "?")],
  ["annotations that are a list", (s) => (s.subject[0].annotations = [])],
  ["a field that in-toto does not have", (s) => (s.subject[0].extra = 1)],
  ["an empty type", (s) => (s.predicateType = "")],
  ["a predicate that is a list", (s) => (s.predicate = [])],
  ["a field of its own", (s) => (s.extra = 1)],
  ["subjects that are an object", (s) => (s.subject = {})],
]) {
  test(`mallory's statement with ${what} is malformed`, () => {
    const value = honest("release");
    change(value);
    assert.throws(() => parseStatement(encoded(value)), FormatError);
  });
}

test("a subject may carry every field of a resource descriptor", () => {
  const value = honest("release");
  Object.assign(value.subject[0], {
    ...{ uri: "u", downloadLocation: "d", mediaType: "m", content: "YQ==", annotations: { a: 1 } },
  });
  value.subject[0].digest.sha512 = "anything";
  value.subject[1].digest = { gitCommit: "abc" };
  const { subjects, digests } = parseStatement(encoded(value));
  assert.equal(subjects[0].sha256, value.subject[0].digest.sha256);
  assert.equal(digests[1], "");
});

test("another version of the statement is refused, and only once its syntax holds", () => {
  const value = { ...honest("release"), _type: "https://in-toto.io/Statement/v0.1" };
  assert.throws(() => parseStatement(encoded(value)), VerificationError);
  assert.throws(() => parseStatement(encoded({ ...value, subject: [] })), FormatError);
});

test("a kind that is none of Assay's has no predicate here", async () => {
  const value = { ...honest("release"), predicateType: "https://slsa.dev/provenance/v1" };
  assert.equal(parseStatement(encoded(value)).predicateType, value.predicateType);
  await malformed(value);
});

test("a statement is at most one MiB", () => {
  const long = `${" ".repeat(2 ** 20)}${JSON.stringify(honest("release"))}`;
  assert.throws(() => parseStatement(encoded(long)), FormatError);
});
