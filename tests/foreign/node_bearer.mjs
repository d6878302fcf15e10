// A page's way to bring a token: among the subprotocols, by undici's WebSocket. Usage: URL TOKEN. Tells what it
// sees as JSON lines on stdout.

import { WebSocket } from "undici";

const tell = (event, fields) => console.log(JSON.stringify({ event, ...fields }));

const socket = new WebSocket(process.argv[2], ["tidegate.v1", `bearer.${process.argv[3]}`]);
socket.onopen = () => tell("open", { protocol: socket.protocol });
socket.onmessage = ({ data }) => {
  tell("message", { data });
  socket.close(1000);
};
socket.onerror = () => tell("failed", {});
socket.onclose = ({ code }) => tell("closed", { code });
