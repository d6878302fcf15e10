// The browsers' WebSocket as `undici` has it, which inflates: says each message back until it is `end`. Usage: URL.
// Tells what it sees as JSON lines on stdout.

import { WebSocket } from "undici";

const tell = (event, fields) => console.log(JSON.stringify({ event, ...fields }));

const socket = new WebSocket(process.argv[2]);
socket.onopen = () => tell("open", { extensions: socket.extensions });
socket.onmessage = ({ data }) => {
  if (data === "end") socket.close(1000);
  else socket.send(data);
};
socket.onclose = ({ code }) => tell("closed", { code });
socket.onerror = ({ error, message }) => {
  throw error ?? new Error(message);
};
