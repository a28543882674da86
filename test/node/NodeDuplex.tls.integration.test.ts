import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { NodeDuplex } from "effect-transport/node"
import { execFileSync } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Duplex } from "node:stream"
import * as Tls from "node:tls"
import { type Ends, event, media } from "../support/duplexes.ts"
import { describeWith } from "../support/systemPrograms.ts"

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")

const certificate = Effect.sync(() => {
  const folder = mkdtempSync(join(tmpdir(), "effect-transport-"))
  try {
    execFileSync("openssl", [
      ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost".split(" "),
      ..."-keyout key.pem -out cert.pem".split(" ")
    ], { cwd: folder, stdio: "ignore" })
    return { key: readFileSync(join(folder, "key.pem")), cert: readFileSync(join(folder, "cert.pem")) }
  } finally {
    rmSync(folder, { recursive: true })
  }
})

/** Both sides with the handshake behind them; neither ends by itself when the other does. */
const secured = Effect.fnUntraced(function*(ends: Ends) {
  const { cert, key } = yield* certificate
  const [a, b] = yield* ends
  const [below, above] = [yield* NodeDuplex.toDuplex(a), yield* NodeDuplex.toDuplex(b)]
  const server = new Tls.TLSSocket(above, { isServer: true, key, cert, ...halfOpen })
  const secure = event(server, "secure")
  const client = Tls.connect({ socket: below, ca: cert, servername: "localhost", ...halfOpen })
  yield* event(client, "secureConnect")
  yield* secure
  assert.isTrue(client.authorized)
  return [
    { transport: a, duplex: below, tls: client },
    { transport: b, duplex: above, tls: server }
  ] as const
})

/** Known to `tls.connect` and `TLSSocket`, and not to the types of the second. */
const halfOpen: { readonly allowHalfOpen?: boolean } = { allowHalfOpen: true }

const readAll = (stream: Duplex): Effect.Effect<Buffer> =>
  Effect.promise(() =>
    new Promise((resolve, reject) => {
      const chunks: Array<Buffer> = []
      stream.on("data", (chunk: Buffer) => chunks.push(chunk))
      stream.on("end", () => resolve(Buffer.concat(chunks)))
      stream.on("error", reject)
    })
  )

describeWith(["openssl"], "node:tls over NodeDuplex.toDuplex", () => {
  describe.each(media)("over %s", (_, ends) => {
    it.live("moves megabytes both ways at once, and each end of a direction leaves the other one open", () =>
      Effect.gen(function*() {
        const [client, server] = yield* secured(ends)
        const [up, down, late] = [randomBytes(3_000_000), randomBytes(3_000_000), randomBytes(300_000)]
        const closed = [event(client.duplex, "close"), event(server.duplex, "close")]

        // Our close_notify goes first, and comes to the peer as an end.
        client.tls.end(up)
        server.tls.write(down)
        const arrived = yield* readAll(server.tls)
        assert.strictEqual(sha256(arrived), sha256(up))
        server.tls.end(late)
        assert.strictEqual(sha256(yield* readAll(client.tls)), sha256(Buffer.concat([down, late])))
        for (const close of closed) yield* close
        // Both were told of the end, and nothing was cut off.
        yield* client.transport.closed
        yield* server.transport.closed
      }))

    it.live("an abort below is an error, and never a clean end", () =>
      Effect.gen(function*() {
        for (const end of ["the peer's stream", "the peer's transport"] as const) {
          const [client, server] = yield* secured(ends)
          const failed = event(client.tls, "error")
          const closed = event(client.duplex, "close")
          let isEnded = false
          client.tls.on("end", () => isEnded = true)
          client.tls.resume()
          // Node reports each write that was cut off as a further error.
          for (const stream of [client.tls, server.tls, server.duplex]) stream.on("error", () => {})
          // With input unread, a Unix socket shows an abort as well. Without, Node takes the bare end for a clean one, over
          // its own sockets too: it asks for no close_notify.
          yield* server.transport.pausedReading
          client.tls.write("never read")
          yield* client.transport.flush
          if (end === "the peer's stream") server.duplex.resetAndDestroy()
          else yield* server.transport.abort
          assert.strictEqual(((yield* failed) as NodeJS.ErrnoException).code, "ECONNRESET")
          assert.isFalse(isEnded)
          yield* closed
        }
      }))

    it.live("refuses a certificate that is not trusted, and lets go of the transport", () =>
      Effect.gen(function*() {
        const { cert, key } = yield* certificate
        const [a, b] = yield* ends
        const [below, above] = [yield* NodeDuplex.toDuplex(a), yield* NodeDuplex.toDuplex(b)]
        const server = new Tls.TLSSocket(above, { isServer: true, key, cert })
        server.on("error", () => {})
        const client = Tls.connect({ socket: below, servername: "localhost" })
        const closed = [event(below, "close"), event(above, "close")]
        const ended = event(server, "end")
        const error = (yield* event(client, "error")) as NodeJS.ErrnoException
        assert.strictEqual(error.code, "DEPTH_ZERO_SELF_SIGNED_CERT")
        yield* ended
        server.destroy()
        for (const close of closed) yield* close
      }))
  })
})
