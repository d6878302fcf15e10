// The WebSocket: envelopes come and go as they are. A browser does not tell why a handshake failed, so that a refusal
// looks like a proxy in the way; the transports after it hear the status.

import type { Link, Task } from "./transport.js";

export function websocket(task: Task): Link {
  const socket = new WebSocket(task.address(task.after).replace(/^http/, "ws"), "tidegate.v1");
  socket.onmessage = ({ data }) => task.deliver(JSON.parse(data));
  socket.onclose = ({ code, reason }) => task.end({ code, reason });
  return {
    stop: () => socket.close(1000),
    send(message) {
      const open = socket.readyState === 1;
      if (open) socket.send(JSON.stringify(message));
      return open;
    },
  };
}
