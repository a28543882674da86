/**
 * Where to connect or listen, as data and as a string.
 *
 * An endpoint is a plain object told apart by `_tag`, with a schema for each kind; `parse` and `format` translate between
 * it and its string form (`tcp://127.0.0.1:7000`). Host names and paths are kept as written: nothing is looked up,
 * decoded or normalized, so every endpoint survives the way through its string. Whether an endpoint can be opened here
 * is the `Network`'s business.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Host from "effect/net/Host"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { InvalidOption } from "./TransportError.ts"

/**
 * A TCP address: `tcp://host:port`.
 *
 * @category models
 * @since 0.1.0
 */
export interface TcpEndpoint {
  readonly _tag: "tcp"
  /** A host name, an IPv4 or an IPv6 address, also with a zone (`fe80::1%eth0`); without brackets. */
  readonly host: string
  /** From 0 to 65535. A listener on port 0 is given a free one. */
  readonly port: number
}

/**
 * A Unix-domain socket: `unix:///absolute/path`, `unix:relative/path`, `unix:@name` in Linux's abstract namespace.
 *
 * @category models
 * @since 0.1.0
 */
export interface UnixEndpoint {
  readonly _tag: "unix"
  /** The path, or the abstract name without its leading NUL. At most 107 bytes of UTF-8: what Linux has room for. */
  readonly path: string
  readonly abstract: boolean
}

/**
 * A serial port: `serial:///dev/ttyUSB0?baudRate=115200`, `serial:COM3`, `serial:///dev/ttyS0?parity=even&rtscts=true`.
 *
 * @category models
 * @since 0.1.0
 */
export interface SerialEndpoint {
  readonly _tag: "serial"
  readonly path: string
  /** Bits per second; 9600 where none is given, the rate that most devices leave the factory with. */
  readonly baudRate: number
  /** Bits of data in each character. Default 8. */
  readonly dataBits?: 5 | 6 | 7 | 8
  /** Default none. Mark and space exist on Windows alone: elsewhere an open fails with `Unsupported`. */
  readonly parity?: "none" | "even" | "odd" | "mark" | "space"
  /** Default 1. One and a half exists on Windows alone. */
  readonly stopBits?: 1 | 1.5 | 2
  /** Flow control by the lines RTS and CTS, both ways. Default false. */
  readonly rtscts?: boolean
  /** We stop sending when the peer sends XOFF (0x13), until it sends XON (0x11). Default false: both are data. */
  readonly xon?: boolean
  /** We send XOFF when our input fills up, and XON when there is room again. Default false. */
  readonly xoff?: boolean
  /** DTR goes down when the port is closed, which hangs up a modem and resets some boards. Default true. */
  readonly hupcl?: boolean
}

/**
 * Named pipes, one for each direction: `fifo:?read=/run/answers&write=/run/questions`. One of the two may be absent, and
 * whoever is at the other end names them crosswise.
 *
 * @category models
 * @since 0.1.0
 */
export interface FifoEndpoint {
  readonly _tag: "fifo"
  /** The path of the pipe that is read. Without it the input ends at once. */
  readonly read?: string
  /** The path of the pipe that is written to. Without it the writing direction is ended from the beginning. */
  readonly write?: string
}

/**
 * Descriptors that this process has open: `fd:3` for one that is read and written, `fd:3,4` for one to read and one to
 * write, `fd:3,` to read alone and `fd:,4` to write alone.
 *
 * @category models
 * @since 0.1.0
 */
export interface FdEndpoint {
  readonly _tag: "fd"
  /** The number of the descriptor that is read; it may be the one that is written to. Without it the input ends at once. */
  readonly read?: number
  /** The one that is written to. Without it the writing direction is ended from the beginning. */
  readonly write?: number
}

/**
 * TLS over TCP: `tls://host:port`.
 *
 * @category models
 * @since 0.1.0
 */
export interface TlsEndpoint {
  readonly _tag: "tls"
  /** As that of TCP. The peer's certificate has to be good for it. */
  readonly host: string
  /** From 0 to 65535. A listener on port 0 is given a free one. */
  readonly port: number
}

/**
 * A name inside this program: `memory:name`.
 *
 * @category models
 * @since 0.1.0
 */
export interface MemoryEndpoint {
  readonly _tag: "memory"
  readonly name: string
}

/**
 * The standard input and output of this process: `stdio:`.
 *
 * @category models
 * @since 0.1.0
 */
export interface StdioEndpoint {
  readonly _tag: "stdio"
}

/**
 * A program that is started and talked to over its standard input and output: `exec:grep -n "two words"`.
 *
 * No shell is in between: the arguments reach the program as they are.
 *
 * @see {@link parse} for how words are quoted
 * @category models
 * @since 0.1.0
 */
export interface ExecEndpoint {
  readonly _tag: "exec"
  /** The path of the program, or a name without a slash that is looked for on the `PATH`. */
  readonly command: string
  /** What it is given, its own name not included. They are seen in errors and by every user of the machine. */
  readonly args: ReadonlyArray<string>
}

/**
 * The endpoint of each kind.
 *
 * @category models
 * @since 0.1.0
 */
export interface Kinds {
  readonly tcp: TcpEndpoint
  readonly tls: TlsEndpoint
  readonly unix: UnixEndpoint
  readonly fifo: FifoEndpoint
  readonly fd: FdEndpoint
  readonly serial: SerialEndpoint
  readonly memory: MemoryEndpoint
  readonly stdio: StdioEndpoint
  readonly exec: ExecEndpoint
}

/**
 * The kind of an endpoint: its `_tag`, and the scheme of its string form.
 *
 * @category models
 * @since 0.1.0
 */
export type Kind = keyof Kinds

/**
 * Where to connect or listen.
 *
 * @category models
 * @since 0.1.0
 */
export type Endpoint = Kinds[Kind]

const halfCloseKinds = ["tcp", "tls", "unix", "fifo", "fd", "stdio", "exec", "memory"] as const

/**
 * The kinds on which half-close exists. An allow-list: a kind that is not on it has none.
 *
 * @category models
 * @since 0.1.0
 */
export type HalfCloseKind = Extract<Kind, (typeof halfCloseKinds)[number]>

/**
 * The kind an endpoint has, read from an object or from a literal string; every kind for a string known only at run
 * time, and `never` for a literal whose scheme is unknown.
 *
 * @category models
 * @since 0.1.0
 */
export type KindOf<E> = E extends { readonly _tag: infer K extends Kind } ? K
  : E extends string ? string extends E ? Kind
    : E extends `${infer S}:${string}` ? Lowercase<S> extends Kind ? Lowercase<S> : string extends S ? Kind : never
    : never
  : never

/**
 * Turns an unknown scheme in a literal, and a field that the kind does not have, into a readable compile error.
 *
 * @category models
 * @since 0.1.0
 */
export type Check<E> = E extends string
  ? [KindOf<E>] extends [never] ?
    `unknown endpoint scheme in "${E}": use tcp, tls, unix, fifo, fd, serial, memory, stdio or exec`
  : E
  : E extends Endpoint ? E & { readonly [K in Exclude<keyof E, keyof Kinds[KindOf<E>]>]: never }
  : E

/**
 * Whether half-close exists on this kind.
 *
 * @category guards
 * @since 0.1.0
 */
export const isHalfCloseKind = (kind: Kind): kind is HalfCloseKind =>
  halfCloseKinds.some((candidate) => candidate === kind)

// One section for each kind: its schema, then its string form. The table below joins them.

/** How one kind is written. */
interface Form<E extends Endpoint> {
  readonly schema: Schema.ConstraintDecoder<E>
  /** What each field must be, as an error says it. */
  readonly expected: { readonly [K in Exclude<keyof E, "_tag">]: string }
  /** Finds the fields in what follows the scheme. Whether they are right is for the schema to say. */
  readonly split: (rest: string) => Result.Result<ReadonlyArray<Found>, Lack>
  readonly format: (endpoint: E) => string
}

/** A field found in a string, and where. Places count from the character after the scheme's colon, from 0. */
interface Found {
  readonly field: string
  readonly text: string
  readonly at: number
  readonly value: unknown
  /** What the field must be in a string, where that is not what it must be in an object. */
  readonly expected?: string | undefined
}

/** What a string lacks to be split into fields, and where. */
interface Lack {
  readonly field: string
  readonly expected: string
  readonly at: number
  readonly actual: string
}

const lack = (field: string, expected: string, at: number, actual: string): Result.Result<never, Lack> =>
  Result.fail({ field, expected, at, actual })

// "007" and "1e3" stay text, which no schema of a number accepts: one number, one spelling.
const numeral = (text: string): number | string => /^(0|[1-9]\d*)$/.test(text) ? Number(text) : text

const truth = (text: string): boolean | string => text === "true" ? true : text === "false" ? false : text

// A path ends at its first NUL, and half a surrogate pair would become U+FFFD on its way to the operating system.
const isPath = (path: string): boolean => !/[\0\uD800-\uDFFF]/u.test(path)

const hostFields = {
  host: Schema.NonEmptyString.check(
    Schema.makeFilter((host) => Result.isSuccess(Host.hostFromString(host)), { expected: "a host" })
  ),
  port: Schema.Port
}

/**
 * The schema of a TCP endpoint.
 *
 * @category models
 * @since 0.1.0
 */
export const TcpEndpoint = Schema.Struct({
  _tag: Schema.tag("tcp"),
  ...hostFields
}).annotate({ identifier: "TcpEndpoint" })

/**
 * The schema of a TLS endpoint.
 *
 * @category models
 * @since 0.1.0
 */
export const TlsEndpoint = Schema.Struct({
  _tag: Schema.tag("tls"),
  ...hostFields
}).annotate({ identifier: "TlsEndpoint" })

const hostInString = "a host name, an IPv4 address, or an IPv6 address in brackets"

/** `//host:port`, which TCP and TLS share. */
const hostForm: Omit<Form<TcpEndpoint | TlsEndpoint>, "schema"> = {
  expected: {
    host: "a host name or an IP address without brackets",
    port: "an integer from 0 to 65535"
  },
  split: (rest) => {
    if (!rest.startsWith("//")) return lack("host", "preceded by //", 0, rest)
    const bracketed = rest[2] === "["
    const start = bracketed ? 3 : 2
    const end = bracketed ? rest.indexOf("]") : rest.lastIndexOf(":")
    if (bracketed && end < 0) return lack("host", "followed by ]", rest.length, rest.slice(3))
    const host = rest.slice(start, end < 0 ? undefined : end)
    const colon = bracketed ? end + 1 : start + host.length
    if (host === "" || bracketed !== host.includes(":")) return lack("host", hostInString, 2, rest.slice(2, colon))
    if (rest[colon] !== ":") return lack("port", "preceded by a colon", colon, rest.slice(colon))
    const port = rest.slice(colon + 1)
    return Result.succeed([
      { field: "host", text: host, at: start, value: host, expected: hostInString },
      { field: "port", text: port, at: colon + 1, value: numeral(port) }
    ])
  },
  format: ({ _tag, host, port }) => host.includes(":") ? `${_tag}://[${host}]:${port}` : `${_tag}://${host}:${port}`
}

const tcp: Form<TcpEndpoint> = { ...hostForm, schema: TcpEndpoint }

const tls: Form<TlsEndpoint> = { ...hostForm, schema: TlsEndpoint }

// `sun_path` has 108 bytes on Linux, and one of them is the NUL: at the end of a path, in front of an abstract name.
const unixPathBytesMax = 107

const utf8 = new TextEncoder()

/**
 * The schema of a Unix-domain socket; `make` and decoding take `abstract` for false where it is left out.
 *
 * @category models
 * @since 0.1.0
 */
export const UnixEndpoint = Schema.Struct({
  _tag: Schema.tag("unix"),
  path: Schema.NonEmptyString.check(
    Schema.makeFilter((path) => isPath(path) && utf8.encode(path).length <= unixPathBytesMax, {
      expected: "a socket path"
    })
  ),
  abstract: Schema.Boolean.pipe(
    Schema.withDecodingDefaultTypeKey(Effect.succeed(false)),
    Schema.withConstructorDefault(Effect.succeed(false))
  )
}).annotate({ identifier: "UnixEndpoint" })

// An `@` that belongs to a path is written `./@`, so that it does not read as an abstract name: the same file.
const readsAsAbstract = /^(\.\/)*@/

const unix: Form<UnixEndpoint> = {
  schema: UnixEndpoint,
  expected: {
    path: `from 1 to ${unixPathBytesMax} bytes of UTF-8 without NUL`,
    abstract: "true or false"
  },
  split: (rest) => {
    const found = (path: string, at: number, abstract: boolean) =>
      Result.succeed([
        { field: "path", text: path, at, value: path },
        { field: "abstract", text: "", at: 0, value: abstract }
      ])
    if (rest.startsWith("@")) return found(rest.slice(1), 1, true)
    if (rest.startsWith("///")) return found(rest.slice(2), 2, false)
    if (rest.startsWith("//")) return lack("path", "an absolute path (a relative one is unix:path)", 2, rest.slice(2))
    return rest.startsWith("./") && readsAsAbstract.test(rest.slice(2))
      ? found(rest.slice(2), 2, false)
      : found(rest, 0, false)
  },
  format: ({ abstract, path }) =>
    abstract ? `unix:@${path}` : `unix:${path.startsWith("/") ? "//" : readsAsAbstract.test(path) ? "./" : ""}${path}`
}

// No `&` in a path: it is what stands between the two.
const PipePath = Schema.NonEmptyString.check(
  Schema.makeFilter((path) => isPath(path) && !path.includes("&"), { expected: "the path of a pipe" })
)

/**
 * The schema of named pipes; one of the two may be absent.
 *
 * @category models
 * @since 0.1.0
 */
export const FifoEndpoint = Schema.Struct({
  _tag: Schema.tag("fifo"),
  read: Schema.optionalKey(PipePath),
  write: Schema.optionalKey(PipePath)
}).check(
  Schema.makeFilter(({ read, write }) =>
    read !== undefined || write !== undefined || { path: ["read"], issue: "one of the two has to be there" }
  )
).annotate({ identifier: "FifoEndpoint" })

const fifo: Form<FifoEndpoint> = {
  schema: FifoEndpoint,
  expected: {
    read: "a path without NUL and &, or absent where there is one to write",
    write: "a path without NUL and &, or absent where there is one to read"
  },
  split: (rest) => {
    const expected = "?read=… or ?write=… or ?read=…&write=…"
    if (rest[0] !== "?") return lack("query", expected, 0, rest)
    const found: Array<Found> = []
    let at = 1
    for (const part of rest.slice(1).split("&")) {
      const [, field, text] = /^(read|write)=([^]*)$/.exec(part) ?? []
      if (field === undefined || text === undefined || found.some((other) => other.field === field)) {
        return lack("query", expected, 0, rest)
      }
      found.push({ field, text, at: at + field.length + 1, value: text })
      at += part.length + 1
    }
    return Result.succeed(found)
  },
  format: ({ read, write }) =>
    `fifo:?${
      [...(read === undefined ? [] : [`read=${read}`]), ...(write === undefined ? [] : [`write=${write}`])].join("&")
    }`
}

const Descriptor = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0x7fff_ffff }))

/**
 * The schema of descriptors; one of the two may be absent.
 *
 * @category models
 * @since 0.1.0
 */
export const FdEndpoint = Schema.Struct({
  _tag: Schema.tag("fd"),
  read: Schema.optionalKey(Descriptor),
  write: Schema.optionalKey(Descriptor)
}).check(
  Schema.makeFilter(({ read, write }) =>
    read !== undefined || write !== undefined || { path: ["read"], issue: "one of the two has to be there" }
  )
).annotate({ identifier: "FdEndpoint" })

const fd: Form<FdEndpoint> = {
  schema: FdEndpoint,
  expected: {
    read: "the number of a descriptor, or absent where there is one to write",
    write: "the number of a descriptor, or absent where there is one to read"
  },
  split: (rest) => {
    const [read = "", write, more] = rest.split(",")
    if (more !== undefined || (read === "" && !write)) {
      return lack("descriptors", "N or N,M or N, or ,M, where N is read and M is written", 0, rest)
    }
    const expected = "the number of a descriptor"
    const found = (field: string, text: string, at: number): ReadonlyArray<Found> =>
      text === "" ? [] : [{ field, text, at, value: numeral(text), expected }]
    return Result.succeed([
      ...found("read", read, 0),
      ...write === undefined ? found("write", read, 0) : found("write", write, read.length + 1)
    ])
  },
  format: ({ read, write }) => read === write ? `fd:${read}` : `fd:${read ?? ""},${write ?? ""}`
}

/**
 * The schema of a serial port; `make` and decoding take 9600 where `baudRate` is left out.
 *
 * @category models
 * @since 0.1.0
 */
export const SerialEndpoint = Schema.Struct({
  _tag: Schema.tag("serial"),
  path: Schema.NonEmptyString.check(Schema.makeFilter(isPath, { expected: "a path" })),
  baudRate: Schema.Int.check(Schema.isGreaterThan(0)).pipe(
    Schema.withDecodingDefaultTypeKey(Effect.succeed(9600)),
    Schema.withConstructorDefault(Effect.succeed(9600))
  ),
  dataBits: Schema.optionalKey(Schema.Literals([5, 6, 7, 8])),
  parity: Schema.optionalKey(Schema.Literals(["none", "even", "odd", "mark", "space"])),
  stopBits: Schema.optionalKey(Schema.Literals([1, 1.5, 2])),
  rtscts: Schema.optionalKey(Schema.Boolean),
  xon: Schema.optionalKey(Schema.Boolean),
  xoff: Schema.optionalKey(Schema.Boolean),
  hupcl: Schema.optionalKey(Schema.Boolean)
}).annotate({ identifier: "SerialEndpoint" })

/** How what stands behind `?` is read; in this order it is written. */
const serialOptions = {
  baudRate: numeral,
  dataBits: numeral,
  parity: (text: string) => text,
  stopBits: (text: string) => text === "1.5" ? 1.5 : numeral(text),
  rtscts: truth,
  xon: truth,
  xoff: truth,
  hupcl: truth
} as const satisfies { readonly [K in Exclude<keyof SerialEndpoint, "_tag" | "path">]-?: (text: string) => unknown }

const serialOptionNames = Object.keys(serialOptions) as ReadonlyArray<keyof typeof serialOptions>

const serial: Form<SerialEndpoint> = {
  schema: SerialEndpoint,
  expected: {
    path: "the path of a device, without NUL",
    baudRate: "an integer above 0",
    dataBits: "5, 6, 7 or 8",
    parity: "none, even, odd, mark or space",
    stopBits: "1, 1.5 or 2",
    rtscts: "true or false",
    xon: "true or false",
    xoff: "true or false",
    hupcl: "true or false"
  },
  split: (rest) => {
    if (/^\/\/(?!\/)/.test(rest)) {
      return lack("path", "an absolute path (a relative one is serial:path)", 2, rest.slice(2))
    }
    const start = rest.startsWith("//") ? 2 : 0
    // The last one, because a path may have its own: the string form always has the baud rate.
    const query = rest.lastIndexOf("?")
    const path = rest.slice(start, query < 0 ? undefined : query)
    const found: Array<Found> = [{ field: "path", text: path, at: start, value: path }]
    if (query < 0) return Result.succeed(found)
    let at = query + 1
    for (const part of rest.slice(query + 1).split("&")) {
      const [, name, text = ""] = /^([^=]*)=([^]*)$/.exec(part) ?? []
      const field = serialOptionNames.find((field) => field === name && !found.some((other) => other.field === field))
      if (field === undefined) {
        return lack("query", `options joined by &, each once, of ${serialOptionNames.join(", ")}`, at, part)
      }
      found.push({ field, text, at: at + field.length + 1, value: serialOptions[field](text) })
      at += part.length + 1
    }
    return Result.succeed(found)
  },
  format: (endpoint) => {
    const options = serialOptionNames.flatMap((name) => endpoint[name] === undefined ? [] : `${name}=${endpoint[name]}`)
    return `serial:${endpoint.path.startsWith("/") ? "//" : ""}${endpoint.path}?${options.join("&")}`
  }
}

/**
 * The schema of a name inside this program.
 *
 * @category models
 * @since 0.1.0
 */
export const MemoryEndpoint = Schema.Struct({
  _tag: Schema.tag("memory"),
  // No slash in front, or `memory://name` and `memory:name` would be two names that look like one.
  name: Schema.NonEmptyString.check(Schema.makeFilter((name) => !name.startsWith("/"), { expected: "a name" }))
}).annotate({ identifier: "MemoryEndpoint" })

const memory: Form<MemoryEndpoint> = {
  schema: MemoryEndpoint,
  expected: { name: "a name that does not start with a slash" },
  split: (rest) => Result.succeed([{ field: "name", text: rest, at: 0, value: rest }]),
  format: ({ name }) => `memory:${name}`
}

/**
 * The schema of the standard input and output of this process.
 *
 * @category models
 * @since 0.1.0
 */
export const StdioEndpoint = Schema.Struct({ _tag: Schema.tag("stdio") }).annotate({ identifier: "StdioEndpoint" })

const stdio: Form<StdioEndpoint> = {
  schema: StdioEndpoint,
  expected: {},
  split: (rest) => rest === "" ? Result.succeed([]) : lack("path", "absent (stdio: is all of it)", 0, rest),
  format: () => "stdio:"
}

// A word ends at its first NUL on its way to a program.
const Word = Schema.String.check(Schema.makeFilter(isPath, { expected: "a word" }))

/**
 * The schema of a program; `make` and decoding take no arguments where `args` is left out.
 *
 * @category models
 * @since 0.1.0
 */
export const ExecEndpoint = Schema.Struct({
  _tag: Schema.tag("exec"),
  command: Word.check(Schema.isNonEmpty()),
  args: Schema.Array(Word).pipe(
    Schema.withDecodingDefaultTypeKey(Effect.succeed([])),
    Schema.withConstructorDefault(Effect.succeed([]))
  )
}).annotate({ identifier: "ExecEndpoint" })

const exec: Form<ExecEndpoint> = {
  schema: ExecEndpoint,
  expected: {
    command: "the name or path of a program, without NUL",
    args: "strings without NUL"
  },
  split: (rest) =>
    Result.map(wordsOf(rest), ([command, ...args]) => {
      const after = args[0]?.at ?? rest.length
      return [
        { field: "command", text: command?.text ?? "", at: command?.at ?? 0, value: command?.text ?? "" },
        { field: "args", text: rest.slice(after), at: after, value: args.map(({ text }) => text) }
      ]
    }),
  format: ({ args, command }) => `exec:${[command, ...args].map(quoted).join(" ")}`
}

interface FoundWord {
  readonly text: string
  readonly at: number
}

/** A backslash with its character, a quoted part, or a run of characters that stand for themselves. */
const wordPart = /\\([^])|'([^']*)'|"((?:[^"\\]|\\[^])*)"|([^ \t\n\\'"]+)/y

const wordsOf = (rest: string): Result.Result<ReadonlyArray<FoundWord>, Lack> => {
  const words: Array<FoundWord> = []
  let at = 0
  while ((at += /^[ \t\n]*/.exec(rest.slice(at))![0].length) < rest.length) {
    const start = at
    let text = ""
    while (at < rest.length && !/[ \t\n]/.test(rest[at]!)) {
      wordPart.lastIndex = at
      const part = wordPart.exec(rest)
      if (part === null) {
        const expected = rest[at] === "\\"
          ? "followed by a character after its last backslash"
          : "closed by the quote it opens"
        return lack(words.length === 0 ? "command" : "args", expected, at, rest.slice(at))
      }
      const [all, escaped, single, double, plain] = part
      text += escaped ?? single ?? double?.replace(/\\(["\\$`])/g, "$1") ?? plain
      at += all.length
    }
    words.push({ text, at: start })
  }
  return Result.succeed(words)
}

/** As it is where nothing in it means something to `parse` or to a shell. */
const quoted = (word: string): string => /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`

const forms: { readonly [K in Kind]: Form<Kinds[K]> } = {
  tcp,
  tls,
  unix,
  fifo,
  fd,
  serial,
  memory,
  stdio,
  exec
}

const formOf = <K extends Kind>(kind: K): Form<Kinds[K]> => forms[kind]

const isKind = (kind: unknown): kind is Kind => typeof kind === "string" && Object.hasOwn(forms, kind)

/**
 * The schema of an endpoint.
 *
 * @category models
 * @since 0.1.0
 */
export const Endpoint = Schema.Union([
  TcpEndpoint,
  TlsEndpoint,
  UnixEndpoint,
  FifoEndpoint,
  FdEndpoint,
  SerialEndpoint,
  MemoryEndpoint,
  StdioEndpoint,
  ExecEndpoint
]).annotate({ identifier: "Endpoint" })

/**
 * Reads the string form of an endpoint.
 *
 * **Details**
 *
 * The result is an `Exit` on purpose: it can be yielded in `Effect.gen`, run with `Effect.runSync`, or looked at without
 * running anything.
 *
 * | kind | string form |
 * | --- | --- |
 * | tcp | `tcp://host:port`, where an IPv6 address has brackets: `tcp://[::1]:7000`, `tcp://[fe80::1%eth0]:7000` |
 * | tls | `tls://host:port`, as TCP |
 * | unix | `unix:///absolute/path`, `unix:relative/path`, `unix:@name` in Linux's abstract namespace |
 * | fifo | `fifo:?read=/path&write=/path`, in any order; one of the two may be absent |
 * | fd | `fd:3` to read and write one, `fd:3,4` to read 3 and write 4, `fd:3,` to read alone, `fd:,4` to write alone |
 * | serial | `serial:///dev/ttyUSB0?baudRate=115200&parity=even`, `serial:COM3` with the default of 9600 |
 * | memory | `memory:name` |
 * | stdio | `stdio:` |
 * | exec | `exec:program argument …`, quoted as below |
 *
 * The scheme may be in capitals. Nothing else is translated: `%`, `?` and `#` in the path of a socket are characters of
 * the path; the path of a pipe cannot have `&`. An `InvalidOption` names the part that is wrong, what was expected, and at which character, counted from 1.
 *
 * The words of a program are parted by spaces, tabs and line ends. Within single quotes every character is itself. Within double quotes a
 * backslash in front of `"`, `\\`, `$` or a backtick is taken away, and any other is itself; outside of quotes it is taken
 * away always. What stands side by side is one word, and `''` an empty one. Nothing else means anything: there is no
 * shell, so `$`, `*`, `~`, `|`, `>` and `#` are characters. For a shell, start one: `exec:sh -c 'sort | uniq -c'`. What
 * `format` gives means the same to a shell.
 *
 * **Gotchas**
 *
 * `unix:./@name` is a file called `@name`, since `unix:@name` is an abstract name. In the path of a serial port the last
 * `?` begins the options.
 *
 * **Example** (Reading and writing endpoints)
 *
 * ```ts import.meta.vitest
 * import { Effect } from "effect"
 * import { Endpoint } from "effect-transport"
 *
 * Effect.runSync(Endpoint.parse("tcp://[::1]:7000")) // => { _tag: "tcp", host: "::1", port: 7000 }
 * Endpoint.format({ _tag: "unix", path: "/run/app.sock", abstract: false }) // => "unix:///run/app.sock"
 *
 * const error = Effect.runSync(Effect.flip(Endpoint.parse("tcp://127.0.0.1:http")))
 * error.message // => 'endpoint.port must be an integer from 0 to 65535 at character 17, and is "http"'
 * ```
 *
 * @see {@link format} for the inverse
 * @category decoding
 * @since 0.1.0
 */
export const parse = (input: string): Exit.Exit<Endpoint, InvalidOption> => {
  const colon = input.indexOf(":")
  const scheme = input.slice(0, Math.max(colon, 0))
  const kind = scheme.toLowerCase()
  if (!isKind(kind)) return invalid("endpoint.scheme", `${oneOf(Object.keys(forms))} at character 1`, scheme || input)
  const split = forms[kind].split(input.slice(colon + 1))
  const place = (at: number) => `at character ${colon + 2 + at}`
  if (Result.isFailure(split)) {
    const { actual, at, expected, field } = split.failure
    return invalid(`endpoint.${field}`, `${expected} ${place(at)}`, actual)
  }
  const values = Object.fromEntries(split.success.map(({ field, value }) => [field, value]))
  return Exit.mapError(validate({ _tag: kind, ...values }), (error) => {
    const found = split.success.find(({ field }) => `endpoint.${field}` === error.field)
    if (found === undefined) return error
    const expected = `${found.expected ?? error.expected} ${place(found.at)}`
    return new InvalidOption({ field: error.field, expected, actual: found.text })
  })
}

/**
 * Reads the string form of an endpoint, and throws the `InvalidOption` if it is wrong.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parseUnsafe = (input: string): Endpoint => Effect.runSync(parse(input))

/**
 * An endpoint from either form: reads a string, and checks that an object has the fields of its kind and no others.
 *
 * @category decoding
 * @since 0.1.0
 */
export const from = (input: Endpoint | string): Exit.Exit<Endpoint, InvalidOption> =>
  typeof input === "string" ? parse(input) : validate(input)

/**
 * The string form of an endpoint, from which `parse` makes an equal one.
 *
 * @see {@link parse} for the forms
 * @category encoding
 * @since 0.1.0
 */
export const format = (endpoint: Endpoint): string => formOf(endpoint._tag).format(endpoint)

/**
 * What was given for an endpoint, for the text of an error.
 *
 * @category converting
 * @since 0.1.0
 */
export const describe = (input: unknown): string => typeof input === "string" ? input : "an endpoint object"

/**
 * The schema that decodes an endpoint from its string form, and encodes it as one: for configuration and arguments.
 *
 * @category decoding
 * @since 0.1.0
 */
export const FromString = Schema.String.pipe(
  Schema.decodeTo(
    Schema.toType(Endpoint),
    SchemaTransformation.transformEffect({
      decode: (input, options) =>
        Exit.mapError(parse(input), ({ message }) => new SchemaIssue.InvalidValue({ message }, input, options)),
      encode: (endpoint) => Exit.succeed(format(endpoint))
    })
  )
).annotate({ identifier: "EndpointFromString" })

const firstPath = SchemaIssue.makeFormatterStandardSchemaV1()

const validate = (input: unknown): Exit.Exit<Endpoint, InvalidOption> => {
  if (!Predicate.isObject(input)) return invalid("endpoint", "an endpoint or its string form", input)
  const kind = Predicate.hasProperty(input, "_tag") ? input._tag : undefined
  if (!isKind(kind)) return invalid("endpoint._tag", oneOf(Object.keys(forms)), kind)
  const { expected, schema } = formOf(kind)
  // A misspelt field would leave the default standing, so it is refused.
  const decoded = Schema.decodeUnknownResult(schema, { onExcessProperty: "error" })(input)
  if (Result.isSuccess(decoded)) return Exit.succeed(decoded.success)
  const field = String(firstPath(decoded.failure.issue).issues[0]?.path?.[0])
  const wanted = Object.hasOwn(expected, field)
    ? (expected as Record<string, string>)[field]!
    : `absent (${kind} has ${
      Object.keys(expected).length === 0 ? "no fields" : `the fields ${Object.keys(expected).join(", ")}`
    })`
  return invalid(`endpoint.${field}`, wanted, (input as Record<string, unknown>)[field])
}

const invalid = (field: string, expected: string, actual: unknown): Exit.Exit<never, InvalidOption> =>
  Exit.fail(new InvalidOption({ field, expected, actual }))

const oneOf = (names: ReadonlyArray<string>): string => `one of ${names.join(", ")}`
