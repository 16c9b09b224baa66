// The upload part of the REST API in memory, with faults on order: what it accepts is what the
// contract says, so a client that pleases it pleases the server.

import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { once } from "node:events";

/** A simulator of `/api/v1/uploads`; `faults` are asked before each part is taken. */
export class UploadServer {
  uploads = new Map();
  stored = new Map();
  received = []; // part numbers, in order of arrival, refused ones included
  polls = 0;
  open = 0; // parts that are being sent now
  mostOpen = 0;
  partSize = null; // insists on its own part size when set
  joinPolls = 0; // how often it says "joining" before it is done
  faults = () => null;
  #http = createServer((request, response) => void this.#answer(request, response));

  /** @returns {Promise<string>} the base address */
  async start() {
    this.#http.listen(0, "127.0.0.1");
    await once(this.#http, "listening");
    return `http://127.0.0.1:${this.#http.address().port}/api/v1/`;
  }

  stop() {
    this.#http.close();
    this.#http.closeAllConnections();
  }

  async #answer(request, response) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const parts = request.url.replace("/api/v1/", "").split("/");
    const route = `${request.method} ${parts.map((p, i) => (i % 2 ? ":" : p)).join("/")}`;
    const answer = await this.#route(route, parts, body, request);
    if (answer === "hang up") {
      request.socket.destroy();
      return;
    }
    const [status, json, headers = {}] = answer;
    response.writeHead(status, { "Content-Type": "application/json", ...headers });
    response.end(JSON.stringify(json));
  }

  #route(route, [, id, , number], body, request) {
    if (route === "POST uploads") return this.#declare(JSON.parse(body));
    const upload = this.uploads.get(id);
    if (!upload) return problem(404, "unknown_upload", "You have no such upload.");
    if (route === "GET uploads/:") return [200, this.#poll(upload)];
    if (route === "POST uploads/:/complete") return this.#complete(upload);
    return this.#part(upload, Number(number), body, request);
  }

  #declare({ size, sha256, part_size }) {
    if (this.stored.has(sha256)) return [200, { state: "stored", sha256 }];
    const again = [...this.uploads.values()].find(
      (upload) => upload.sha256 === sha256 && upload.state === "open",
    );
    if (again) return [201, again.view()];
    const id = `upload-${this.uploads.size + 1}`;
    const upload = new Upload({ id, size, sha256, partSize: this.partSize ?? part_size });
    this.uploads.set(id, upload);
    return [201, upload.view()];
  }

  async #part(upload, number, body, request) {
    this.received.push(number);
    this.open += 1;
    this.mostOpen = Math.max(this.mostOpen, this.open);
    const fault = await this.faults(number, this.received.length);
    this.open -= 1;
    if (fault) return fault;
    const found = createHash("sha256").update(body).digest("base64");
    const sent = request.headers["content-digest"];
    if (sent !== `sha-256=:${found}:`) {
      const detail = { number, expected: sent, found };
      return problem(400, "digest_mismatch", "Part arrived with other bytes.", detail);
    }
    if (body.length !== upload.sizeOf(number)) return problem(400, "invalid_input", "Wrong size.");
    upload.parts.set(number, body);
    return [200, { number, received: true }];
  }

  #complete(upload) {
    if (upload.missing.length > 0) {
      const detail = { missing: upload.missing };
      return problem(409, "conflict", "Some parts have not arrived.", detail);
    }
    upload.state = "joining";
    if (this.joinPolls === 0) this.#join(upload);
    return [202, upload.view()];
  }

  #poll(upload) {
    this.polls += 1;
    if (upload.state === "joining" && this.polls >= this.joinPolls) this.#join(upload);
    return upload.view();
  }

  #join(upload) {
    const whole = Buffer.concat([...Array(upload.count).keys()].map((n) => upload.parts.get(n)));
    const found = createHash("sha256").update(whole).digest("hex");
    upload.state = found === upload.sha256 ? "stored" : "failed";
    if (upload.state === "stored") this.stored.set(found, whole);
    else {
      const detail = { expected: upload.sha256, found };
      upload.error = { code: "digest_mismatch", message: "The whole differs.", detail };
    }
  }
}

class Upload {
  state = "open";
  error = null;
  parts = new Map();

  constructor({ id, size, sha256, partSize }) {
    Object.assign(this, { id, size, sha256, partSize });
  }

  get count() {
    return Math.ceil(this.size / this.partSize);
  }

  get missing() {
    if (this.state !== "open") return [];
    return [...Array(this.count).keys()].filter((number) => !this.parts.has(number));
  }

  sizeOf(number) {
    return Math.min(this.partSize, this.size - number * this.partSize);
  }

  view() {
    const { id, state, partSize, count, missing, error } = this;
    return { id, state, part_size: partSize, parts: count, missing, error };
  }
}

/** @returns {[number, object, object]} an answer with an error of the API */
export function problem(status, code, message, detail = {}, headers = {}) {
  return [status, { error: { code, message, detail } }, headers];
}
