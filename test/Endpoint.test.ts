import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Cause, Config, ConfigProvider, Effect, Exit, Option, Result, Schema } from "effect"
import { NetAddress } from "effect/net"
import * as Endpoint from "../src/Endpoint.ts"
import { InvalidOption } from "../src/TransportError.ts"

const failure = <A>(exit: Exit.Exit<A, InvalidOption>): InvalidOption =>
  Option.getOrThrow(Cause.findErrorOption(Option.getOrThrow(Exit.getCause(exit))))

const summary = ({ actual, expected, field }: InvalidOption) => ({ field, expected, actual })

const choice = <const A extends string>(...values: ReadonlyArray<A>) => Arbitrary.schema(Schema.Literals(values))

const text = (...pieces: ReadonlyArray<string>) =>
  Arbitrary.map(Arbitrary.array(choice(...pieces), { minLength: 1, maxLength: 20 }), (parts) => parts.join(""))

const oddText = text("a", "B", "0", "/", "//", "./", "../", "@", ".", "?", "#", "%", "%2F", "%00", " ", "\n", "é", "😀")

const shellText = text(
  "a",
  "B",
  "-",
  " ",
  "\t",
  "\n",
  "\u00a0",
  "'",
  "\"",
  "\\",
  "$x",
  "`",
  "*",
  "~",
  "|",
  "#",
  "é",
  "😀"
)

const port = Arbitrary.schema(Schema.Port)

const ipv6 = Arbitrary.map(
  Arbitrary.array(Arbitrary.schema(Schema.Literals([0, 1, 0xfe80, 0xffff])), { minLength: 8, maxLength: 8 }),
  (segments) => segments.map((segment) => segment.toString(16)).join(":")
)

const host = Arbitrary.flatMap(
  choice("name", "ipv4", "ipv6", "short ipv6", "scoped"),
  (form): Arbitrary.Arbitrary<string> => {
    switch (form) {
      case "name":
        return choice(
          "localhost",
          "Example.COM",
          "example.com.",
          "xn--bcher-kva.example",
          "bücher.example",
          "_srv._tcp.a"
        )
      case "ipv4":
        return choice("127.0.0.1", "0.0.0.0", "255.255.255.255")
      case "ipv6":
        return ipv6
      case "short ipv6":
        return Arbitrary.map(ipv6, (address) => NetAddress.formatIp(NetAddress.ipFromStringUnsafe(address)))
      case "scoped":
        return Arbitrary.map(choice("eth0", "3", "en:0", "lo@if2"), (zone) => `fe80::1%${zone}`)
    }
  }
)

const descriptor = Arbitrary.schema(Schema.Literals([0, 3, 4, 2 ** 31 - 1]))

const { _tag: _, baudRate: __, path: ___, ...optionFields } = Endpoint.SerialEndpoint.fields
const serialOptions = Arbitrary.schema(Schema.Struct(optionFields))

const endpoint = Arbitrary.flatMap(
  choice("tcp", "tls", "unix", "fifo", "fd", "serial", "memory", "stdio", "exec"),
  (_tag): Arbitrary.Arbitrary<Endpoint.Endpoint> => {
    switch (_tag) {
      case "tcp":
      case "tls":
        return Arbitrary.map(Arbitrary.all({ host, port }), (fields) => ({ _tag, ...fields }))
      case "unix":
        return Arbitrary.map(
          Arbitrary.all({ path: oddText, abstract: Arbitrary.schema(Schema.Boolean) }),
          (fields) => ({ _tag, ...fields })
        )
      case "fifo":
        return Arbitrary.map(
          Arbitrary.all({ read: oddText, write: oddText, both: Arbitrary.schema(Schema.Literals([0, 1, 2])) }),
          ({ both, read, write }) => ({ _tag, ...(both !== 1 && { read }), ...(both !== 2 && { write }) })
        )
      case "fd":
        return Arbitrary.map(
          Arbitrary.all({ read: descriptor, write: descriptor, both: Arbitrary.schema(Schema.Literals([0, 1, 2])) }),
          ({ both, read, write }) => ({ _tag, ...(both !== 1 && { read }), ...(both !== 2 && { write }) })
        )
      case "serial":
        return Arbitrary.map(
          Arbitrary.all({
            path: oddText,
            baudRate: Arbitrary.schema(Schema.Literals([1, 9600, 115200, 2 ** 31])),
            options: serialOptions
          }),
          ({ options, ...fields }) => ({ _tag, ...fields, ...options })
        )
      case "memory":
        return Arbitrary.map(Arbitrary.filter(oddText, (name) => !name.startsWith("/")), (name) => ({ _tag, name }))
      case "stdio":
        return Arbitrary.map(port, () => ({ _tag }))
      case "exec":
        return Arbitrary.map(
          Arbitrary.all({
            command: shellText,
            args: Arbitrary.array(Arbitrary.map(shellText, (word) => [...word].slice(1).join("")), { maxLength: 4 })
          }),
          (fields) => ({ _tag, ...fields })
        )
    }
  }
)

describe("Endpoint.parse", () => {
  const good: ReadonlyArray<readonly [string, Endpoint.Endpoint]> = [
    ["tcp://127.0.0.1:7000", { _tag: "tcp", host: "127.0.0.1", port: 7000 }],
    ["TCP://Example.com:0", { _tag: "tcp", host: "Example.com", port: 0 }],
    ["tcp://localhost:65535", { _tag: "tcp", host: "localhost", port: 65535 }],
    ["tcp://[::1]:7000", { _tag: "tcp", host: "::1", port: 7000 }],
    ["tcp://[fe80::1%eth0]:7000", { _tag: "tcp", host: "fe80::1%eth0", port: 7000 }],
    ["unix:///run/app.sock", { _tag: "unix", path: "/run/app.sock", abstract: false }],
    ["Unix:/run/app.sock", { _tag: "unix", path: "/run/app.sock", abstract: false }],
    ["unix:////run", { _tag: "unix", path: "//run", abstract: false }],
    ["unix:app.sock", { _tag: "unix", path: "app.sock", abstract: false }],
    ["unix:./app.sock", { _tag: "unix", path: "./app.sock", abstract: false }],
    ["unix:@app", { _tag: "unix", path: "app", abstract: true }],
    ["unix:@@/app", { _tag: "unix", path: "@/app", abstract: true }],
    ["unix:./@app", { _tag: "unix", path: "@app", abstract: false }],
    ["unix:././@app", { _tag: "unix", path: "./@app", abstract: false }],
    ["unix:///a%20b?c#d e", { _tag: "unix", path: "/a%20b?c#d e", abstract: false }],
    [`unix:///${"x".repeat(106)}`, { _tag: "unix", path: `/${"x".repeat(106)}`, abstract: false }],
    ["tls://example.com:443", { _tag: "tls", host: "example.com", port: 443 }],
    ["TLS://[::1]:443", { _tag: "tls", host: "::1", port: 443 }],
    ["fifo:?read=/a&write=/b", { _tag: "fifo", read: "/a", write: "/b" }],
    ["fifo:?write=b&read=a", { _tag: "fifo", read: "a", write: "b" }],
    ["FIFO:?read=/a?b=c#d %26", { _tag: "fifo", read: "/a?b=c#d %26" }],
    ["fifo:?write=/b\n", { _tag: "fifo", write: "/b\n" }],
    ["fd:3", { _tag: "fd", read: 3, write: 3 }],
    ["FD:3,4", { _tag: "fd", read: 3, write: 4 }],
    ["fd:0,", { _tag: "fd", read: 0 }],
    ["fd:,2147483647", { _tag: "fd", write: 2147483647 }],
    ["serial:///dev/ttyUSB0?baudRate=115200", { _tag: "serial", path: "/dev/ttyUSB0", baudRate: 115200 }],
    ["serial:///dev/ttyUSB0", { _tag: "serial", path: "/dev/ttyUSB0", baudRate: 9600 }],
    ["SERIAL:/dev/a?b?baudRate=1", { _tag: "serial", path: "/dev/a?b", baudRate: 1 }],
    ["serial:COM3", { _tag: "serial", path: "COM3", baudRate: 9600 }],
    ["serial:\\\\.\\COM10", { _tag: "serial", path: "\\\\.\\COM10", baudRate: 9600 }],
    [
      "serial:COM4?stopBits=1.5&parity=mark&dataBits=5&hupcl=false&xoff=true&xon=true&rtscts=true&baudRate=50",
      {
        _tag: "serial",
        path: "COM4",
        baudRate: 50,
        dataBits: 5,
        parity: "mark",
        stopBits: 1.5,
        rtscts: true,
        xon: true,
        xoff: true,
        hupcl: false
      }
    ],
    ["serial:COM3?parity=even", { _tag: "serial", path: "COM3", baudRate: 9600, parity: "even" }],
    ["memory:pair", { _tag: "memory", name: "pair" }],
    ["memory:a:b/c", { _tag: "memory", name: "a:b/c" }],
    ["stdio:", { _tag: "stdio" }],
    ["STDIO:", { _tag: "stdio" }],
    ["exec:cat", { _tag: "exec", command: "cat", args: [] }],
    ["EXEC: \t/bin/cat  -\n-u ", { _tag: "exec", command: "/bin/cat", args: ["-", "-u"] }],
    [
      `exec:grep -n "two words" 'single $x' a\\ b`,
      { _tag: "exec", command: "grep", args: ["-n", "two words", "single $x", "a b"] }
    ],
    [`exec:a '' "" 'b'"c"d\\'`, { _tag: "exec", command: "a", args: ["", "", "bcd'"] }],
    [
      String.raw`exec:a "\"\\\$\`\n'" '\"' \n\ \"`,
      { _tag: "exec", command: "a", args: [String.raw`"\$` + "`" + String.raw`\n'`, String.raw`\"`, `n "`] }
    ],
    ["exec:a $HOME * ~ | > b ; # c", { _tag: "exec", command: "a", args: "$HOME * ~ | > b ; # c".split(" ") }],
    ["exec:'a\nb'", { _tag: "exec", command: "a\nb", args: [] }]
  ]

  for (const [input, expected] of good) {
    it(`reads ${input}`, () => assert.deepStrictEqual(Endpoint.parse(input), Exit.succeed(expected)))
  }

  const serialOptionsOnce =
    "options joined by &, each once, of baudRate, dataBits, parity, stopBits, rtscts, xon, xoff, hupcl"
  const schemes = "one of tcp, tls, unix, fifo, fd, serial, memory, stdio, exec at character 1"
  const hosts = "a host name, an IPv4 address, or an IPv6 address in brackets at character 7"
  const ports = "an integer from 0 to 65535 at character"
  const bytes = "from 1 to 107 bytes of UTF-8 without NUL at character"
  const pipes = "?read=… or ?write=… or ?read=…&write=… at character 6"

  const descriptors = "N or N,M or N, or ,M, where N is read and M is written at character 4"
  const number = "the number of a descriptor at character"

  const bad: ReadonlyArray<readonly [input: string, field: string, expected: string, actual: string]> = [
    ["", "endpoint.scheme", schemes, ""],
    ["localhost", "endpoint.scheme", schemes, "localhost"],
    ["localhost:7000", "endpoint.scheme", schemes, "localhost"],
    ["tpc://127.0.0.1:7000", "endpoint.scheme", schemes, "tpc"],
    [" tcp://127.0.0.1:7000", "endpoint.scheme", schemes, " tcp"],
    ["://127.0.0.1:7000", "endpoint.scheme", schemes, "://127.0.0.1:7000"],
    ["__proto__:x", "endpoint.scheme", schemes, "__proto__"],
    ["toString:x", "endpoint.scheme", schemes, "toString"],
    ["tcp:127.0.0.1:7000", "endpoint.host", "preceded by // at character 5", "127.0.0.1:7000"],
    ["tcp:", "endpoint.host", "preceded by // at character 5", ""],
    ["tcp://", "endpoint.host", hosts, ""],
    ["tcp://:7000", "endpoint.host", hosts, ""],
    ["tcp://*:7000", "endpoint.host", hosts, "*"],
    ["tcp://::1:7000", "endpoint.host", hosts, "::1"],
    ["tcp://a:b:7000", "endpoint.host", hosts, "a:b"],
    ["tcp://user@host:7000", "endpoint.host", hosts, "user@host"],
    ["tcp://1.2.3:7000", "endpoint.host", hosts, "1.2.3"],
    ["tcp://256.0.0.1:7000", "endpoint.host", hosts, "256.0.0.1"],
    ["tcp://a b:7000", "endpoint.host", hosts, "a b"],
    ["tcp://[127.0.0.1]:7000", "endpoint.host", hosts, "[127.0.0.1]"],
    ["tcp://[]:7000", "endpoint.host", hosts, "[]"],
    ["tcp://[::g]:7000", "endpoint.host", hosts.replace("7", "8"), "::g"],
    ["tcp://[fe80::1%]:7000", "endpoint.host", hosts.replace("7", "8"), "fe80::1%"],
    ["tcp://[::1:7000", "endpoint.host", "followed by ] at character 16", "::1:7000"],
    ["tcp://localhost", "endpoint.port", "preceded by a colon at character 16", ""],
    ["tcp://[::1]7000", "endpoint.port", "preceded by a colon at character 12", "7000"],
    ["tcp://127.0.0.1:", "endpoint.port", `${ports} 17`, ""],
    ["tcp://127.0.0.1:http", "endpoint.port", `${ports} 17`, "http"],
    ["tcp://127.0.0.1:65536", "endpoint.port", `${ports} 17`, "65536"],
    ["tcp://127.0.0.1:-1", "endpoint.port", `${ports} 17`, "-1"],
    ["tcp://127.0.0.1:07", "endpoint.port", `${ports} 17`, "07"],
    ["tcp://127.0.0.1:7e3", "endpoint.port", `${ports} 17`, "7e3"],
    ["tcp://127.0.0.1:80\n", "endpoint.port", `${ports} 17`, "80\n"],
    ["tcp://[::1]:80/path", "endpoint.port", `${ports} 13`, "80/path"],
    ["unix:", "endpoint.path", `${bytes} 6`, ""],
    ["unix://", "endpoint.path", "an absolute path (a relative one is unix:path) at character 8", ""],
    ["unix://run/a", "endpoint.path", "an absolute path (a relative one is unix:path) at character 8", "run/a"],
    ["unix:@", "endpoint.path", `${bytes} 7`, ""],
    ["unix:///a\0b", "endpoint.path", `${bytes} 8`, "/a\0b"],
    ["unix:///a\ud800", "endpoint.path", `${bytes} 8`, "/a\ud800"],
    [`unix:///${"x".repeat(107)}`, "endpoint.path", `${bytes} 8`, `/${"x".repeat(107)}`],
    [`unix:@${"é".repeat(54)}`, "endpoint.path", `${bytes} 7`, "é".repeat(54)],
    ["tls:127.0.0.1:443", "endpoint.host", "preceded by // at character 5", "127.0.0.1:443"],
    ["tls://localhost", "endpoint.port", "preceded by a colon at character 16", ""],
    ["fifo:", "endpoint.query", pipes, ""],
    ["fifo:///a", "endpoint.query", pipes, "///a"],
    ["fifo:?", "endpoint.query", pipes, "?"],
    ["fifo:?read=/a&", "endpoint.query", pipes, "?read=/a&"],
    ["fifo:?read=/a&read=/b", "endpoint.query", pipes, "?read=/a&read=/b"],
    ["fifo:?read=/a&mode=1", "endpoint.query", pipes, "?read=/a&mode=1"],
    [
      "fifo:?read=&write=/b",
      "endpoint.read",
      "a path without NUL and &, or absent where there is one to write at character 12",
      ""
    ],
    [
      "fifo:?read=/a&write=",
      "endpoint.write",
      "a path without NUL and &, or absent where there is one to read at character 21",
      ""
    ],
    ["fd:", "endpoint.descriptors", descriptors, ""],
    ["fd:,", "endpoint.descriptors", descriptors, ","],
    ["fd:3,4,", "endpoint.descriptors", descriptors, "3,4,"],
    ["fd:stdin", "endpoint.read", `${number} 4`, "stdin"],
    ["fd:-1,4", "endpoint.read", `${number} 4`, "-1"],
    ["fd:12,04", "endpoint.write", `${number} 7`, "04"],
    ["fd:3, 4", "endpoint.write", `${number} 6`, " 4"],
    ["fd:,2147483648", "endpoint.write", `${number} 5`, "2147483648"],
    ["serial:", "endpoint.path", "the path of a device, without NUL at character 8", ""],
    ["serial:?baudRate=9600", "endpoint.path", "the path of a device, without NUL at character 8", ""],
    ["serial://COM3", "endpoint.path", "an absolute path (a relative one is serial:path) at character 10", "COM3"],
    ["serial:///dev/x?baudRate=0", "endpoint.baudRate", "an integer above 0 at character 26", "0"],
    ["serial:///dev/x?baudRate=", "endpoint.baudRate", "an integer above 0 at character 26", ""],
    ["serial:///dev/x?baudRate=9.6", "endpoint.baudRate", "an integer above 0 at character 26", "9.6"],
    ["serial:///dev/x?baudRate=-1", "endpoint.baudRate", "an integer above 0 at character 26", "-1"],
    ["serial:///dev/x?baudrate=1", "endpoint.query", `${serialOptionsOnce} at character 17`, "baudrate=1"],
    ["serial:///dev/x?", "endpoint.query", `${serialOptionsOnce} at character 17`, ""],
    ["serial:///dev/x?parity", "endpoint.query", `${serialOptionsOnce} at character 17`, "parity"],
    ["serial:///dev/x?xon=true&xon=true", "endpoint.query", `${serialOptionsOnce} at character 26`, "xon=true"],
    ["serial:///dev/x?dataBits=9", "endpoint.dataBits", "5, 6, 7 or 8 at character 26", "9"],
    ["serial:///dev/x?xon=1&dataBits=8", "endpoint.xon", "true or false at character 21", "1"],
    ["serial:///dev/x?parity=bogus", "endpoint.parity", "none, even, odd, mark or space at character 24", "bogus"],
    ["serial:///dev/x?stopBits=3", "endpoint.stopBits", "1, 1.5 or 2 at character 26", "3"],
    ["memory:", "endpoint.name", "a name that does not start with a slash at character 8", ""],
    ["memory://pair", "endpoint.name", "a name that does not start with a slash at character 8", "//pair"],
    ["stdio", "endpoint.scheme", schemes, "stdio"],
    ["stdio://", "endpoint.path", "absent (stdio: is all of it) at character 7", "//"],
    ["stdio:1", "endpoint.path", "absent (stdio: is all of it) at character 7", "1"],
    ["exec:", "endpoint.command", "the name or path of a program, without NUL at character 6", ""],
    ["exec: ''  a", "endpoint.command", "the name or path of a program, without NUL at character 7", ""],
    ["exec:a\0", "endpoint.command", "the name or path of a program, without NUL at character 6", "a\0"],
    ["exec:a b  'c\0'", "endpoint.args", "strings without NUL at character 8", "b  'c\0'"],
    ["exec:'a", "endpoint.command", "closed by the quote it opens at character 6", "'a"],
    [`exec:a b"c\\"`, "endpoint.args", "closed by the quote it opens at character 9", `"c\\"`],
    ["exec:a b\\", "endpoint.args", "followed by a character after its last backslash at character 9", "\\"]
  ]

  for (const [input, field, expected, actual] of bad) {
    it(`refuses ${JSON.stringify(input)}`, () => {
      assert.deepStrictEqual(summary(failure(Endpoint.parse(input))), { field, expected, actual })
    })
  }

  it.effect("gives an exit that can be yielded", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* Endpoint.parse("memory:a"), { _tag: "memory", name: "a" })
      const error = yield* Effect.flip(Endpoint.parse("memory:"))
      assert.instanceOf(error, InvalidOption)
    }))
})

describe("Endpoint.parseUnsafe", () => {
  it("throws the InvalidOption itself", () => {
    assert.deepStrictEqual(Endpoint.parseUnsafe("memory:a"), { _tag: "memory", name: "a" })
    assert.throws(() => Endpoint.parseUnsafe("tcp://localhost"), InvalidOption)
  })
})

describe("Endpoint.format", () => {
  it.prop("gives a string from which parse makes an equal endpoint", { endpoint }, ({ endpoint }) => {
    assert.deepStrictEqual(Endpoint.parse(Endpoint.format(endpoint)), Exit.succeed(endpoint))
  })

  it.prop("gives back a canonical string", {
    string: Arbitrary.map(endpoint, Endpoint.format)
  }, ({ string }) => {
    assert.strictEqual(Endpoint.format(Endpoint.parseUnsafe(string)), string)
  })

  it.prop("changes nothing about what any string means", {
    scheme: choice(
      "tcp:",
      "TCP://",
      "tls://",
      "fifo:",
      "fifo:?read=",
      "fd:",
      "fd:3,",
      "unix:",
      "unix://",
      "unix:@",
      "serial:",
      "serial://",
      "memory:",
      "stdio:",
      "exec:",
      "exec:a '"
    ),
    rest: Arbitrary.flatMap(
      choice("", ":7000", "?baudRate=1", "&write=/b"),
      (tail) => Arbitrary.map(oddText, (head) => head + tail)
    )
  }, ({ rest, scheme }) => {
    const parsed = Endpoint.parse(scheme + rest)
    if (Exit.isSuccess(parsed)) assert.deepStrictEqual(Endpoint.parse(Endpoint.format(parsed.value)), parsed)
  })
})

describe("Endpoint.from", () => {
  it.prop("takes every endpoint, and its string", { endpoint }, ({ endpoint }) => {
    assert.deepStrictEqual(Endpoint.from(endpoint), Exit.succeed(endpoint))
    assert.deepStrictEqual(Endpoint.from(Endpoint.format(endpoint)), Exit.succeed(endpoint))
  })

  const object = "an endpoint or its string form"
  const kinds = "one of tcp, tls, unix, fifo, fd, serial, memory, stdio, exec"
  const bad: ReadonlyArray<readonly [input: unknown, field: string, expected: string, actual: unknown]> = [
    [null, "endpoint", object, null],
    [undefined, "endpoint", object, undefined],
    [7000, "endpoint", object, 7000],
    [{}, "endpoint._tag", kinds, undefined],
    [{ _tag: "udp", host: "a", port: 1 }, "endpoint._tag", kinds, "udp"],
    [{ _tag: "constructor" }, "endpoint._tag", kinds, "constructor"],
    [{ _tag: "tcp", host: "a" }, "endpoint.port", "an integer from 0 to 65535", undefined],
    [{ _tag: "tcp", host: "a", port: "80" }, "endpoint.port", "an integer from 0 to 65535", "80"],
    [{ _tag: "tcp", host: "a", port: 1.5 }, "endpoint.port", "an integer from 0 to 65535", 1.5],
    [{ _tag: "tcp", port: 1 }, "endpoint.host", "a host name or an IP address without brackets", undefined],
    [
      { _tag: "tcp", host: "[::1]", port: 1 },
      "endpoint.host",
      "a host name or an IP address without brackets",
      "[::1]"
    ],
    [{ _tag: "unix", path: "", abstract: false }, "endpoint.path", "from 1 to 107 bytes of UTF-8 without NUL", ""],
    [{ _tag: "unix", path: "a", abstract: 1 }, "endpoint.abstract", "true or false", 1],
    [{ _tag: "tls", host: "a" }, "endpoint.port", "an integer from 0 to 65535", undefined],
    [
      { _tag: "fifo" },
      "endpoint.read",
      "a path without NUL and &, or absent where there is one to write",
      undefined
    ],
    [
      { _tag: "fifo", write: "/a&read=/b" },
      "endpoint.write",
      "a path without NUL and &, or absent where there is one to read",
      "/a&read=/b"
    ],
    [{ _tag: "fifo", read: "/a", path: "/b" }, "endpoint.path", "absent (fifo has the fields read, write)", "/b"],
    [
      { _tag: "fd" },
      "endpoint.read",
      "the number of a descriptor, or absent where there is one to write",
      undefined
    ],
    [
      { _tag: "fd", read: 3, write: "4" },
      "endpoint.write",
      "the number of a descriptor, or absent where there is one to read",
      "4"
    ],
    [{ _tag: "fd", fd: 3 }, "endpoint.fd", "absent (fd has the fields read, write)", 3],
    [{ _tag: "serial", path: "a", baudRate: 0 }, "endpoint.baudRate", "an integer above 0", 0],
    [{ _tag: "serial", path: "a", baudRate: 1, dataBits: 9 }, "endpoint.dataBits", "5, 6, 7 or 8", 9],
    [
      { _tag: "serial", path: "a", baudrate: 115200 },
      "endpoint.baudrate",
      "absent (serial has the fields path, baudRate, dataBits, parity, stopBits, rtscts, xon, xoff, hupcl)",
      115200
    ],
    [{ _tag: "memory", name: "/a" }, "endpoint.name", "a name that does not start with a slash", "/a"],
    [{ _tag: "stdio", path: "/a" }, "endpoint.path", "absent (stdio has no fields)", "/a"],
    [{ _tag: "exec", command: "" }, "endpoint.command", "the name or path of a program, without NUL", ""],
    [{ _tag: "exec", command: "a", args: "b" }, "endpoint.args", "strings without NUL", "b"],
    [
      { _tag: "exec", command: "a", cwd: "/" },
      "endpoint.cwd",
      "absent (exec has the fields command, args)",
      "/"
    ]
  ]

  for (const [input, field, expected, actual] of bad) {
    it(`refuses ${JSON.stringify(input)}`, () => {
      const exit = Endpoint.from(input as Endpoint.Endpoint)
      assert.deepStrictEqual(summary(failure(exit)), { field, expected, actual })
    })
  }
})

describe("Endpoint schemas", () => {
  it("fill in what has a default", () => {
    assert.deepStrictEqual(Endpoint.SerialEndpoint.make({ path: "a" }), { _tag: "serial", path: "a", baudRate: 9600 })
    assert.deepStrictEqual(Endpoint.UnixEndpoint.make({ path: "a" }), { _tag: "unix", path: "a", abstract: false })
    const decoded = Schema.decodeUnknownExit(Endpoint.Endpoint)({ _tag: "serial", path: "a" })
    assert.deepStrictEqual(decoded, Exit.succeed({ _tag: "serial", path: "a", baudRate: 9600 }))
  })

  it.prop("generate endpoints that survive their string form", { endpoint: Endpoint.Endpoint }, ({ endpoint }) => {
    assert.deepStrictEqual(Endpoint.parse(Endpoint.format(endpoint)), Exit.succeed(endpoint))
  })
})

describe("Endpoint.FromString", () => {
  it("decodes and encodes the string form", () => {
    const decoded = Schema.decodeSync(Endpoint.FromString)("tcp://[::1]:7000")
    assert.deepStrictEqual(decoded, { _tag: "tcp", host: "::1", port: 7000 })
    assert.strictEqual(Schema.encodeSync(Endpoint.FromString)(decoded), "tcp://[::1]:7000")
  })

  it("says what is wrong", () => {
    const result = Schema.decodeResult(Endpoint.FromString)("tcp://a:b")
    assert.strictEqual(
      Option.getOrThrow(Result.getFailure(result)).message,
      "endpoint.port must be an integer from 0 to 65535 at character 9, and is \"b\""
    )
  })

  it.effect("reads configuration", () =>
    Effect.gen(function*() {
      const endpoint = yield* Config.schema(Endpoint.FromString, "LISTEN")
      assert.deepStrictEqual(endpoint, { _tag: "unix", path: "/a", abstract: false })
    }).pipe(
      Effect.provideService(
        ConfigProvider.ConfigProvider,
        ConfigProvider.fromEnv({ env: { LISTEN: "unix:///a" } })
      )
    ))
})

describe("Endpoint.isHalfCloseKind", () => {
  it("knows the kinds that can half-close", () => {
    const kinds: ReadonlyArray<Endpoint.Kind> = [
      "tcp",
      "tls",
      "unix",
      "fifo",
      "fd",
      "serial",
      "memory",
      "stdio",
      "exec"
    ]
    assert.deepStrictEqual(
      kinds.filter(Endpoint.isHalfCloseKind),
      ["tcp", "tls", "unix", "fifo", "fd", "memory", "stdio", "exec"]
    )
  })
})

describe("Endpoint", () => {
  it("has these names", () => {
    assert.deepStrictEqual(Object.keys(Endpoint).toSorted(), [
      "Endpoint",
      "ExecEndpoint",
      "FdEndpoint",
      "FifoEndpoint",
      "FromString",
      "MemoryEndpoint",
      "SerialEndpoint",
      "StdioEndpoint",
      "TcpEndpoint",
      "TlsEndpoint",
      "UnixEndpoint",
      "describe",
      "format",
      "from",
      "isHalfCloseKind",
      "parse",
      "parseUnsafe"
    ])
  })
})
