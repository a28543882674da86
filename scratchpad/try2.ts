import { Effect, Fiber } from "effect"
import { Serial, Transport } from "effect-transport"
import { NodeSerial } from "effect-transport/node"
import { spawn } from "node:child_process"
import { readdirSync, readlinkSync } from "node:fs"
const fds = () =>
  readdirSync("/proc/self/fd").map((f) => {
    try {
      return readlinkSync("/proc/self/fd/" + f)
    } catch {
      return ""
    }
  }).filter((l) => /pts/.test(l))
const layer = process.argv[2] === "b" ? NodeSerial.layerBindings : NodeSerial.layer
const pair = () =>
  new Promise<any>((resolve) => {
    const child = spawn("socat", ["-d", "-d", "pty,raw,echo=0,link=/tmp/nsA", "pty,raw,echo=0,link=/tmp/nsB"])
    child.stderr.on("data", (d) => /starting data/.test(String(d)) && resolve(child))
  })
for (const mode of ["reading", "paused", "writing"]) {
  const child = await pair()
  await Effect.runPromise(
    Effect.gen(function*() {
      const a = yield* Serial.open(`serial:///tmp/nsA?baudRate=115200`, { onScopeExit: () => "abort" })
      if (mode === "paused") yield* a.transport.pause
      if (mode === "writing") yield* Effect.forkScoped(Effect.exit(a.transport.write(new Uint8Array(10_000_000))))
      yield* Effect.sleep(50)
      const t = performance.now(), c = process.cpuUsage()
      child.kill()
      console.log(
        mode,
        yield* Effect.flip(a.transport.closed).pipe(Effect.map((e) => e.message), Effect.timeoutOption(3000))
      )
      const u = process.cpuUsage(c)
      console.log(performance.now() - t, "ms", (u.user + u.system) / 1000, "ms cpu")
      yield* Effect.sleep(300)
      const u2 = process.cpuUsage(c)
      console.log("later", (u2.user + u2.system) / 1000)
    }).pipe(Effect.scoped, Effect.provide(layer))
  )
  console.log("left", fds())
}
