import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import { ApiError, path, requestFrom } from "../../static/js/api.js";
import { curlLine, infer, inferAddress, sessionAddress, waitIncluded } from "../../static/js/infer.js";
import { bytes } from "./vectors.mjs";

let base;
let answer;
const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const [status, body, headers = {}] = answer(request, Buffer.concat(chunks).toString());
  response.writeHead(status, headers);
  response.end(body);
});

before(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  base = `http://127.0.0.1:${server.address().port}`;
});
after(() => {
  server.close();
  server.closeAllConnections();
});

test("a release is asked at its own address", () => {
  assert.equal(inferAddress("a/b", "1.0"), "/v2/models/a--b/versions/1.0/infer");
  assert.equal(inferAddress("a/b", ""), "/v2/models/a--b/infer");
  assert.equal(sessionAddress("a/b", "1.0"), "/models/a/b/run/1.0/infer");
});

test("an answer comes with its exact text", async () => {
  const text = '{"outputs": [{"data": [9007199254740993]}]}';
  answer = (request, body) => [body === "{}" ? 200 : 400, text];
  const given = await infer(`${base}/v2/models/a--b/infer`, "{}");
  assert.equal(given.text, text);
  assert.equal(given.answer.outputs.length, 1);
});

test("a refusal of the protocol is told in its words", async () => {
  answer = () => [400, '{"error": "expected [1, 8], received [1, 7]", "code": "wrong_shape"}'];
  await assert.rejects(infer(`${base}/v2`, "{}"), (error) => {
    assert.ok(error instanceof ApiError);
    assert.deepEqual([error.status, error.code], [400, "wrong_shape"]);
    assert.equal(error.message, "expected [1, 8], received [1, 7]");
    return true;
  });
  answer = () => [502, "<html>"];
  await assert.rejects(infer(`${base}/v2`, "{}"), { status: 502, code: "http_502" });
});

test("who is told that the server is busy is told when to come back", async () => {
  answer = () => [503, '{"error": "busy", "code": "executor_busy"}', { "Retry-After": "2" }];
  const busy = { code: "executor_busy", "try again in": "2 s" };
  await assert.rejects(infer(`${base}/v2`, "{}"), { retryAfterS: 2, detail: busy });
});

test("the shell line survives quotes, and a large request is left to a file", () => {
  const line = `curl -f 'http://h/v2' \\\n  -d '{"a":"it'\\''s"}'`;
  assert.equal(curlLine("http://h/v2", `{"a":"it's"}`), line);
  assert.match(curlLine("http://h/v2", "x".repeat(5000)), /-d @request\.json$/);
});

test("an entry is waited for until a checkpoint covers it", async () => {
  let asked = 0;
  answer = (request) => {
    asked += 1;
    assert.equal(request.url, "/receipt?wait=1");
    return asked < 2 ? [404, "{}"] : [200, bytes("log/bundle.json")];
  };
  const pause = async () => {};
  const included = await waitIncluded(`${base}/receipt`, { waitS: 1, pause });
  assert.deepEqual(included, { index: "256", size: "259" });
  answer = () => [404, "{}"];
  assert.equal(await waitIncluded(`${base}/receipt`, { waitS: 1, rounds: 2, pause }), null);
  answer = () => [403, "{}"];
  assert.equal(await waitIncluded(`${base}/receipt`, { waitS: 1, pause }), null);
});

test("an error of the API keeps code, detail and Retry-After", async () => {
  const body = '{"error": {"code": "rate_limited", "message": "Slowly.", "detail": {"a": 1}}}';
  answer = () => [429, body, { "Retry-After": "3" }];
  await assert.rejects(requestFrom(`${base}/`, "GET", "x"), {
    ...{ status: 429, code: "rate_limited", message: "Slowly.", detail: { a: 1 } },
    ...{ retryAfterS: 3, passing: true },
  });
  answer = () => [200, "not json"];
  await assert.rejects(requestFrom(`${base}/`, "GET", "x"), { code: "bad_answer", status: 0 });
  answer = () => [500, "a page"];
  await assert.rejects(requestFrom(`${base}/`, "GET", "x"), { code: "http_500" });
  answer = () => [204, ""];
  assert.equal(await requestFrom(`${base}/`, "DELETE", "x"), null);
});

test("parts of an address are escaped, slashes of a model are kept", () => {
  assert.equal(path("models", "a/b c", "x?y"), "models/a/b%20c/x%3Fy");
});
