// A model process that always answers y = 3, whatever it was asked: the supervisor signs it.
import { Socket } from "node:net";
import { readFrames, writeFrame } from "./frames.mjs";

const socket = new Socket({ fd: 0, readable: true, writable: true });
const three = new Uint8Array([0, 0, 64, 64]);
const value = (name) => ({ name, datatype: "FP32", shape: [1] });

readFrames(socket, ({ op }) => {
  if (op === "load") {
    writeFrame(socket, { ok: true, inputs: [value("x")], outputs: [value("y")] });
  } else {
    writeFrame(socket, { outputs: [{ ...value("y"), size: 4 }], memory: 0 }, [three]);
  }
});
socket.on("end", () => process.exit(0));
writeFrame(socket, { ready: true });
