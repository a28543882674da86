import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { AddressResolver, Dns, NetAddress } from "effect/net"
import * as ChildProcess from "node:child_process"
import { once } from "node:events"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Path from "node:path"
import * as Stream from "node:stream"
import { reasonOf } from "../../src/node/nativeError.ts"
import type { Operation, Reason } from "../../src/TransportError.ts"
import { folder } from "../support/folder.ts"

const seen = (error: unknown, operation: Operation, host?: string): Record<string, unknown> =>
  Object.assign<Record<string, unknown>, Reason>({}, reasonOf(error, { operation, what: "the endpoint", host }))

const coded = (code: string) => Object.assign(new Error(code), { code })

const errorOf = (emitter: Net.Socket | Net.Server) =>
  Effect.promise(() => once(emitter, "error").then(([error]) => error as NodeJS.ErrnoException))

const connectError = (options: Net.NetConnectOpts) => Effect.suspend(() => errorOf(Net.connect(options)))

const listenError = (options: Net.ListenOptions) => Effect.suspend(() => errorOf(Net.createServer().listen(options)))

const listening = (options: Net.ListenOptions) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const server = Net.createServer({ allowHalfOpen: true }).listen(options)
      await once(server, "listening")
      return server
    }),
    (server) => Effect.promise(() => new Promise((resolve) => server.close(resolve)))
  )

/** A client and the socket that the server has for it. */
const pair = Effect.gen(function*() {
  const server = yield* listening({ host: "127.0.0.1", port: 0 })
  const accepted = once(server, "connection")
  const client = Net.connect({ port: (server.address() as Net.AddressInfo).port, host: "127.0.0.1" })
  const [peer] = (yield* Effect.promise(() => Promise.all([accepted, once(client, "connect")])))[0] as [Net.Socket]
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      client.destroy()
      peer.destroy()
    })
  )
  return [client, peer] as const
})

describe("reasonOf, on real sockets", () => {
  it.live("a port that nobody listens on is Refused", () =>
    Effect.gen(function*() {
      const error = yield* connectError({ host: "127.0.0.1", port: 1 })
      assert.deepInclude(seen(error, "open"), { _tag: "Refused" })
    }))

  it.live("a path without a listener is Refused, whatever else is there", () =>
    Effect.gen(function*() {
      const path = yield* folder
      const file = Path.join(path, "file")
      Fs.writeFileSync(file, "")
      const stale = Path.join(path, "stale.sock")
      const script = `require("net").createServer().listen(${
        JSON.stringify(stale)
      }, () => process.kill(process.pid, 9))`
      ChildProcess.spawnSync(process.execPath, ["-e", script])
      assert.isTrue(Fs.statSync(stale).isSocket())
      for (const path of [file, stale]) {
        assert.deepInclude(seen(yield* connectError({ path }), "open"), { _tag: "Refused" })
      }
    }))

  it.live("a path that does not exist is NotFound", () =>
    Effect.gen(function*() {
      const path = yield* folder
      const file = Path.join(path, "file")
      Fs.writeFileSync(file, "")
      for (const missing of [Path.join(path, "missing.sock"), Path.join(file, "below.sock")]) {
        const error = yield* connectError({ path: missing })
        assert.deepInclude(seen(error, "open"), { _tag: "NotFound", what: "the endpoint" })
      }
    }))

  it.live("a folder to listen in that does not exist is NotFound, though libuv says EACCES", () =>
    Effect.gen(function*() {
      const missing = Path.join(yield* folder, "missing")
      const error = yield* listenError({ path: Path.join(missing, "app.sock") })
      assert.strictEqual(error.code, "EACCES")
      assert.deepInclude(seen(error, "listen"), { _tag: "NotFound", what: missing })
    }))

  it.live("an address that is taken is Busy", () =>
    Effect.gen(function*() {
      const server = yield* listening({ host: "127.0.0.1", port: 0 })
      const { port } = server.address() as Net.AddressInfo
      const path = Path.join(yield* folder, "app.sock")
      yield* listening({ path })
      for (const options of [{ host: "127.0.0.1", port }, { path }]) {
        assert.deepInclude(seen(yield* listenError(options), "listen"), { _tag: "Busy", what: "address" })
      }
    }))

  it.live("a folder that we may not enter is PermissionDenied", () =>
    Effect.gen(function*() {
      const path = yield* folder
      yield* Effect.acquireRelease(
        Effect.sync(() => Fs.chmodSync(path, 0o000)),
        () => Effect.sync(() => Fs.chmodSync(path, 0o700))
      )
      // Nothing is forbidden to root, so a child gives that up first.
      const script = `if (process.getuid() === 0) process.setuid(65534)
        const sockets = [
          require("net").connect(${JSON.stringify(Path.join(path, "app.sock"))}),
          require("net").createServer().listen(${JSON.stringify(Path.join(path, "app.sock"))})
        ]
        const events = sockets.map((socket) => require("events").once(socket, "error"))
        Promise.all(events).then((errors) => console.log(JSON.stringify(errors.flat())))`
      const child = ChildProcess.spawnSync(process.execPath, ["-e", script], { encoding: "utf8" })
      const [connect, listen] = JSON.parse(child.stdout)
      assert.strictEqual(connect.code, "EACCES")
      assert.deepInclude(seen(connect, "open"), { _tag: "PermissionDenied" })
      assert.strictEqual(listen.code, "EACCES")
      assert.deepInclude(seen(listen, "listen"), { _tag: "PermissionDenied" })
    }))

  it.live("an address without a route is Unreachable", () =>
    Effect.gen(function*() {
      // TCP has no broadcast: the kernel refuses without sending.
      const error = yield* connectError({ host: "255.255.255.255", port: 7000 })
      assert.strictEqual(error.code, "ENETUNREACH")
      assert.deepInclude(seen(error, "open"), { _tag: "Unreachable" })
    }))

  it.live("an address that is not ours is an InvalidOption", () =>
    Effect.gen(function*() {
      const foreign = "192.0.2.1"
      const expected = { _tag: "InvalidOption", expected: "an address of this machine", actual: foreign }
      const listen = yield* listenError({ host: foreign, port: 0 })
      assert.deepInclude(seen(listen, "listen"), { ...expected, field: "endpoint.host" })
      const bind = yield* connectError({ host: "127.0.0.1", port: 7000, localAddress: foreign })
      assert.deepInclude(seen(bind, "open"), { ...expected, field: "localAddress" })
    }))

  it.live("a path that is too long for the operating system is an InvalidOption", () =>
    Effect.gen(function*() {
      const path = `/${"x".repeat(150)}`
      const expected = { _tag: "InvalidOption", field: "endpoint.path", actual: path }
      assert.deepInclude(seen(yield* connectError({ path }), "open"), expected)
      assert.deepInclude(seen(yield* listenError({ path }), "listen"), expected)
    }))

  it.live("a reset by the peer is Reset, to a read", () =>
    Effect.gen(function*() {
      const [client, peer] = yield* pair
      const error = errorOf(client.resume())
      peer.resetAndDestroy()
      assert.deepInclude(seen(yield* error, "read"), { _tag: "Reset" })
    }))

  it.live("a reset by the peer is Reset, to a write", () =>
    Effect.gen(function*() {
      const [client, peer] = yield* pair
      peer.resetAndDestroy()
      const error = yield* Effect.callback<Error>((resume) => {
        const write = () => client.write("x", (error) => error ? resume(Effect.succeed(error)) : setImmediate(write))
        client.on("error", () => {})
        write()
      })
      assert.deepInclude(seen(error, "write"), { _tag: "Reset" })
    }))

  it.live("Node's own words for a stream that is gone are Reset", () =>
    Effect.gen(function*() {
      const [client, peer] = yield* pair
      const finished = Stream.promises.finished(client).catch((error) => error)
      client.destroy()
      const premature = yield* Effect.promise(() => finished)
      const destroyed = yield* Effect.promise(() => new Promise<unknown>((resolve) => client.write("x", resolve)))
      const connecting = Net.connect({ host: "127.0.0.1", port: 7000 })
      const queued = new Promise<unknown>((resolve) => connecting.write("x", resolve))
      connecting.on("error", () => {}).destroy()
      const unopened = yield* Effect.promise(() => queued)
      assert.deepStrictEqual([premature, destroyed, unopened].map((error) => error.code), [
        "ERR_STREAM_PREMATURE_CLOSE",
        "ERR_STREAM_DESTROYED",
        "ERR_SOCKET_CLOSED_BEFORE_CONNECTION"
      ])
      for (const error of [premature, destroyed, unopened]) {
        assert.deepInclude(seen(error, "write"), { _tag: "Reset" })
      }
      peer.destroy()
    }))
})

describe("reasonOf, on the resolver", () => {
  const dns = (lookup: Effect.Effect<Array<NetAddress.IpAddress>, Dns.DnsError>) =>
    AddressResolver.make(Dns.make({ lookup: () => lookup, resolve: () => Effect.succeed([]) }))
  const failed = (reason: Dns.DnsErrorReason, cause?: unknown) =>
    dns(Effect.fail(new Dns.DnsError({ reason, method: "lookup", hostname: "db.example", cause })))
  const resolving = (resolver: AddressResolver.AddressResolver["Service"], host = "db.example") =>
    Effect.map(Effect.flip(resolver.resolve({ host, port: 7000 })), (error) => seen(error, "open", host))

  it.effect("a name without an address is NameNotFound", () =>
    Effect.gen(function*() {
      const unknown = AddressResolver.make(Result.getOrThrow(Dns.makeStatic({})))
      assert.deepInclude(yield* resolving(unknown), { _tag: "NameNotFound", host: "db.example" })
      const native = failed("Unknown", coded("EAI_NONAME"))
      assert.deepInclude(yield* resolving(native), { _tag: "NameNotFound", host: "db.example" })
    }))

  it.effect("a resolver that gave up is TimedOut in lookup", () =>
    Effect.gen(function*() {
      for (const reason of ["Timeout", "Temporary"] as const) {
        assert.deepInclude(yield* resolving(failed(reason)), { _tag: "TimedOut", phase: "lookup" })
      }
      assert.deepInclude(seen(coded("EAI_AGAIN"), "open"), { _tag: "TimedOut", phase: "lookup" })
    }))

  it.effect("a name or zone that cannot be resolved is an InvalidOption", () =>
    Effect.gen(function*() {
      const expected = { _tag: "InvalidOption", field: "endpoint.host" }
      const linkLocal = dns(Effect.succeed([NetAddress.ipFromStringUnsafe("fe80::1")]))
      assert.deepInclude(yield* resolving(linkLocal), { ...expected, actual: "db.example" })
      assert.deepInclude(yield* resolving(linkLocal, "fe80::1%nowhere"), { ...expected, actual: "fe80::1%nowhere" })
      assert.deepInclude(yield* resolving(failed("BadName")), { ...expected, actual: "db.example" })
    }))

  it.effect("a broken name server is Failed", () =>
    Effect.gen(function*() {
      for (const reason of ["ServerFailure", "Refused", "InvalidResponse", "Unsupported", "Unknown"] as const) {
        assert.deepInclude(yield* resolving(failed(reason)), { _tag: "Failed" })
      }
    }))
})

describe("reasonOf, by code", () => {
  const table: ReadonlyArray<readonly [codes: string, operation: Operation, reason: object]> = [
    [
      "ECONNRESET EPIPE ECONNABORTED ECANCELED EOF ENOTCONN ERR_STREAM_DESTROYED ERR_STREAM_PREMATURE_CLOSE ERR_SOCKET_CLOSED",
      "read",
      { _tag: "Reset" }
    ],
    ["ECONNRESET ECONNABORTED ECANCELED", "open", { _tag: "Reset" }],
    ["ETIMEDOUT EHOSTUNREACH ENETUNREACH ENETDOWN ENETRESET", "read", { _tag: "Reset" }],
    ["ETIMEDOUT EHOSTUNREACH ENETUNREACH ENETDOWN", "write", { _tag: "Reset" }],
    ["ETIMEDOUT", "open", { _tag: "TimedOut", phase: "connect" }],
    ["EHOSTUNREACH ENETUNREACH ENETDOWN EHOSTDOWN EADDRNOTAVAIL", "open", { _tag: "Unreachable" }],
    ["ECONNREFUSED ENOTSOCK EPROTOTYPE EAGAIN", "open", { _tag: "Refused" }],
    ["EACCES EPERM", "open", { _tag: "PermissionDenied" }],
    ["EACCES EPERM", "listen", { _tag: "PermissionDenied" }],
    ["EADDRINUSE", "listen", { _tag: "Busy", what: "address" }],
    ["EBUSY", "open", { _tag: "Busy", what: "device" }],
    ["ENOENT ENOTDIR ENXIO ENODEV", "open", { _tag: "NotFound", what: "the endpoint" }],
    ["ENOTFOUND ENODATA EAI_NONAME EAI_NODATA", "open", { _tag: "NameNotFound", host: "the endpoint" }],
    ["EAFNOSUPPORT", "open", { _tag: "Unsupported" }],
    ["EINVAL ENAMETOOLONG", "open", { _tag: "InvalidOption", field: "endpoint", actual: "the endpoint" }],
    ["EMFILE ENFILE ENOBUFS ENOMEM EIO toString", "open", { _tag: "Failed" }],
    ["EINVAL EMFILE EAGAIN", "read", { _tag: "Failed" }]
  ]

  for (const [codes, operation, reason] of table) {
    for (const code of codes.split(" ")) {
      it(`${operation}: ${code} is ${JSON.stringify(reason)}`, () => {
        assert.deepInclude(seen(coded(code), operation), reason)
      })
    }
  }

  it("what is no error of Node's is Failed", () => {
    for (const value of [undefined, null, "ECONNRESET", new Error("x"), { code: 104 }]) {
      assert.deepInclude(seen(value, "read"), { _tag: "Failed" })
    }
  })
})
