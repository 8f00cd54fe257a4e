// Bun as its documentation has it: a topic, and `server.publish`. Says its port, publishes each line of its
// input, ends with it or after the given seconds.
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch(request, server) {
    if (server.upgrade(request)) return;
    return new Response("upgrade", { status: 426 });
  },
  websocket: {
    idleTimeout: 0,
    sendPings: false,
    perMessageDeflate: false,
    open(socket) {
      socket.subscribe("room");
    },
    message() {},
  },
});

setTimeout(() => process.exit(0), 1000 * Number(process.argv[2]));
console.log(JSON.stringify({ port: server.port }));

let rest = "";
process.stdin.setEncoding("utf8");
process.stdin.on("data", (some) => {
  const lines = (rest + some).split("\n");
  rest = lines.pop();
  for (const line of lines) server.publish("room", line);
});
process.stdin.on("end", () => process.exit(0));
