// Frames over one socket: uint32 total, uint32 header length (big-endian), JSON header, raw tail.
// The same form as inference/executor/protocol.py. The supervisor on the other side is trusted.

const PREFIX_BYTES = 8;

// Call `receive(header, tail)` for each frame that arrives; `tail` is a fresh ArrayBuffer.
export function readFrames(socket, receive) {
  let chunks = [];
  let size = 0;
  let wanted = PREFIX_BYTES;
  socket.on("data", (chunk) => {
    chunks.push(chunk);
    size += chunk.length;
    while (size >= wanted) {
      const whole = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks, size);
      if (wanted === PREFIX_BYTES) {
        wanted = 4 + whole.readUInt32BE(0);
      }
      if (whole.length < wanted) {
        chunks = [whole];
        return;
      }
      const start = PREFIX_BYTES + whole.readUInt32BE(4);
      const header = JSON.parse(whole.toString("utf8", PREFIX_BYTES, start));
      const tail = whole.buffer.slice(whole.byteOffset + start, whole.byteOffset + wanted);
      chunks = whole.length > wanted ? [whole.subarray(wanted)] : [];
      size = whole.length - wanted;
      wanted = PREFIX_BYTES;
      receive(header, tail);
    }
  });
}

// Write one frame whose tail is the concatenation of `parts` (typed arrays).
export function writeFrame(socket, header, parts = []) {
  const text = Buffer.from(JSON.stringify(header));
  const length = parts.reduce((sum, part) => sum + part.byteLength, 0);
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(4 + text.length + length, 0);
  prefix.writeUInt32BE(text.length, 4);
  socket.cork();
  socket.write(prefix);
  socket.write(text);
  for (const part of parts) {
    if (part.byteLength > 0) {
      socket.write(part);
    }
  }
  socket.uncork();
}
