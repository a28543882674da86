import type { Effect, Schema } from "effect"
import type * as Exit from "effect/Exit"
import { describe, expectTypeOf, it } from "vitest"
import * as Endpoint from "../../src/Endpoint.ts"
import type { InvalidOption } from "../../src/TransportError.ts"

declare const open: <const E extends Endpoint.Endpoint | string>(endpoint: Endpoint.Check<E>) => Endpoint.KindOf<E>
declare const port: number
declare const text: string
declare const endpoint: Endpoint.Endpoint

describe("Endpoint", () => {
  it("is what its schemas decode", () => {
    expectTypeOf<typeof Endpoint.Endpoint.Type>().toEqualTypeOf<Endpoint.Endpoint>()
    expectTypeOf<typeof Endpoint.TcpEndpoint.Type>().toEqualTypeOf<Endpoint.TcpEndpoint>()
    expectTypeOf<typeof Endpoint.TlsEndpoint.Type>().toEqualTypeOf<Endpoint.TlsEndpoint>()
    expectTypeOf<typeof Endpoint.FifoEndpoint.Type>().toEqualTypeOf<Endpoint.FifoEndpoint>()
    expectTypeOf<typeof Endpoint.FdEndpoint.Type>().toEqualTypeOf<Endpoint.FdEndpoint>()
    expectTypeOf<typeof Endpoint.UnixEndpoint.Type>().toEqualTypeOf<Endpoint.UnixEndpoint>()
    expectTypeOf<typeof Endpoint.SerialEndpoint.Type>().toEqualTypeOf<Endpoint.SerialEndpoint>()
    expectTypeOf<typeof Endpoint.MemoryEndpoint.Type>().toEqualTypeOf<Endpoint.MemoryEndpoint>()
    expectTypeOf<typeof Endpoint.StdioEndpoint.Type>().toEqualTypeOf<Endpoint.StdioEndpoint>()
    expectTypeOf(Endpoint.FromString).toExtend<Schema.Codec<Endpoint.Endpoint, string>>()
  })

  it("has a kind for each tag", () => {
    expectTypeOf<{ [K in Endpoint.Kind]: Endpoint.Kinds[K]["_tag"] }>().toEqualTypeOf<{ [K in Endpoint.Kind]: K }>()
    expectTypeOf<Endpoint.HalfCloseKind>().toEqualTypeOf<
      "tcp" | "tls" | "unix" | "fifo" | "fd" | "memory" | "stdio" | "exec"
    >()
  })
})

describe("Endpoint.KindOf", () => {
  it("reads literals, in any case, and objects", () => {
    expectTypeOf(open("tcp://127.0.0.1:7000")).toEqualTypeOf<"tcp">()
    expectTypeOf(open("SERIAL:///dev/ttyUSB0")).toEqualTypeOf<"serial">()
    expectTypeOf(open("unix:@name")).toEqualTypeOf<"unix">()
    expectTypeOf(open("memory:name")).toEqualTypeOf<"memory">()
    expectTypeOf(open("stdio:")).toEqualTypeOf<"stdio">()
    expectTypeOf(open("tls://example.com:443")).toEqualTypeOf<"tls">()
    expectTypeOf(open("fifo:?read=/a&write=/b")).toEqualTypeOf<"fifo">()
    expectTypeOf(open("fd:3,4")).toEqualTypeOf<"fd">()
    expectTypeOf(open({ _tag: "fd", read: 3, write: 3 })).toEqualTypeOf<"fd">()
    expectTypeOf(open({ _tag: "fifo", write: "/b" })).toEqualTypeOf<"fifo">()
    expectTypeOf(open(`tcp://127.0.0.1:${port}`)).toEqualTypeOf<"tcp">()
    expectTypeOf(open(`exec:grep ${text}`)).toEqualTypeOf<"exec">()
    expectTypeOf(open(`serial:${text}`)).toEqualTypeOf<"serial">()
    expectTypeOf(open({ _tag: "tcp", host: "::1", port: 7000 })).toEqualTypeOf<"tcp">()
    expectTypeOf(open(Endpoint.SerialEndpoint.make({ path: "/dev/ttyUSB0" }))).toEqualTypeOf<"serial">()
  })

  it("is every kind where only the run knows", () => {
    expectTypeOf(open(text)).toEqualTypeOf<Endpoint.Kind>()
    expectTypeOf(open(endpoint)).toEqualTypeOf<Endpoint.Kind>()
    expectTypeOf(open(`${text}:name`)).toEqualTypeOf<Endpoint.Kind>()
    expectTypeOf(open(port > 1 ? "tcp://a:1" : "serial:COM3")).toEqualTypeOf<"tcp" | "serial">()
  })
})

describe("Endpoint.Check", () => {
  it("says what is wrong with a scheme", () => {
    expectTypeOf<Endpoint.Check<"tpc://127.0.0.1:1">>().toEqualTypeOf<
      `unknown endpoint scheme in "tpc://127.0.0.1:1": use tcp, tls, unix, fifo, fd, serial, memory, stdio or exec`
    >()
    // The message names them all.
    expectTypeOf<Endpoint.Kind>().toEqualTypeOf<
      "tcp" | "tls" | "unix" | "fifo" | "fd" | "serial" | "memory" | "stdio" | "exec"
    >()
  })

  it("refuses what no run could open", () => {
    // @ts-expect-error the scheme is misspelt
    open("tpc://127.0.0.1:1")
    // @ts-expect-error there is no scheme
    open("127.0.0.1")
    // @ts-expect-error there is no scheme
    open("")
    // @ts-expect-error one of the two is misspelt
    open(port > 1 ? "tcp://a:1" : "tpc://a:1")
    // @ts-expect-error there is no such kind
    open({ _tag: "tpc", host: "a", port: 1 })
    // @ts-expect-error the port is missing
    open({ _tag: "tcp", host: "a" })
    // @ts-expect-error TCP has no path
    open({ _tag: "tcp", host: "a", port: 1, path: "/a" })
    // @ts-expect-error the standard input and output have no path
    open({ _tag: "stdio", path: "/a" })
    // @ts-expect-error a pipe has no path of its own
    open({ _tag: "fifo", read: "/a", path: "/b" })
    // @ts-expect-error a descriptor is a number
    open({ _tag: "fd", read: "3" })
    // @ts-expect-error the arguments are missing
    open({ _tag: "exec", command: "cat" })
    // @ts-expect-error what a program is started with is an option
    open({ _tag: "exec", command: "cat", args: [], cwd: "/" })
    // @ts-expect-error a misspelt field
    open({ _tag: "serial", path: "/a", baudRate: 1, baudrate: 1 })
  })
})

describe("Endpoint.parse", () => {
  it("gives an exit, which is an effect", () => {
    expectTypeOf(Endpoint.parse(text)).toEqualTypeOf<Exit.Exit<Endpoint.Endpoint, InvalidOption>>()
    expectTypeOf(Endpoint.parse(text)).toExtend<Effect.Effect<Endpoint.Endpoint, InvalidOption>>()
    expectTypeOf(Endpoint.from(endpoint)).toEqualTypeOf<Exit.Exit<Endpoint.Endpoint, InvalidOption>>()
    expectTypeOf(Endpoint.parseUnsafe(text)).toEqualTypeOf<Endpoint.Endpoint>()
    expectTypeOf(Endpoint.format(endpoint)).toEqualTypeOf<string>()
  })
})
