// The browsers' WebSocket as `undici` has it. Usage: URL. Tells what it sees as JSON lines on stdout.

import { WebSocket } from "undici";

const tell = (event, fields) => console.log(JSON.stringify({ event, ...fields }));
const names = ["first", "answer", "change"];

const socket = new WebSocket(process.argv[2]);
socket.onmessage = ({ data }) => {
  const name = names.shift();
  tell(name, { data });
  if (name === "first") socket.send("hello");
  if (name === "change") socket.close(1000);
};
socket.onclose = ({ code }) => tell("closed", { code });
socket.onerror = ({ error, message }) => {
  throw error ?? new Error(message);
};
