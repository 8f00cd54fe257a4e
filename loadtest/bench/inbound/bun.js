// Bun's WebSocket server with commands: each is parsed and looked at, and, if the first argument says "answered",
// gets a pong. It speaks to the benchmark as ``servers.py`` does, and ends with its input or after the given
// seconds.
const [answered, seconds, senders] = [process.argv[2] === "answered", Number(process.argv[3]), Number(process.argv[4])];
let received = 0;

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
    message(socket, message) {
      const command = JSON.parse(message);
      if (command.type !== "ping" || typeof command.id !== "string") return;
      received += 1;
      if (answered) socket.send(JSON.stringify({ type: "pong", id: command.id, t: Date.now() }));
    },
  },
});

const say = (what) => process.stdout.write(JSON.stringify(what) + "\n");
setTimeout(() => process.exit(0), 1000 * seconds);
say({ url: `ws://127.0.0.1:${server.port}`, tokens: Array(senders).fill("-"), join: false });

let rest = "";
process.stdin.setEncoding("utf8");
process.stdin.on("data", (some) => {
  const lines = (rest + some).split("\n");
  rest = lines.pop();
  for (const _ of lines) {
    const used = process.cpuUsage();
    say({ cpu_s: (used.user + used.system) / 1e6, received });
  }
});
process.stdin.on("end", () => process.exit(0));
