/**
 * What people are told about the tool: its help, and what is wrong with a command line.
 */
import * as CliOutput from "effect/cli/CliOutput"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import * as ChildProcessSpawner from "effect/process/ChildProcessSpawner"
import * as Stdio from "effect/Stdio"
import * as Terminal from "effect/Terminal"
import { complaint } from "./report.ts"
import * as Stderr from "./stderr.ts"

export const tool =
  `Joins byte streams: TCP, Unix sockets, named pipes, descriptors, serial ports, programs, and standard input and output.

  An endpoint is tcp://HOST:PORT, tcp://[::1]:PORT, unix:///PATH, unix:@ABSTRACT, stdio:, fifo:?read=PATH&write=PATH
  (or one of the two), fd:N (a socket or terminal), fd:N,M (reads N, writes M; fd:N, and fd:,M are one way),
  serial:///PATH?baudRate=9600 (npm install serialport), or 'exec:PROGRAM ARGUMENT ...'. A program is started for
  each connection to it, without a shell; '...', "..." and \\ quote in its arguments.
  With listen: in front it accepts instead of connecting, and port 0 takes a free one.
  Exit status: 0 when all ended well, 1 when a connection failed, 2 when the command line is wrong.`

export const toolExamples = [
  {
    command: "effect-transport relay listen:tcp://127.0.0.1:7000 unix:///run/app.sock",
    description: "A port for a socket"
  },
  { command: "effect-transport echo listen:tcp://127.0.0.1:7000", description: "Something to try clients on" },
  { command: "printf 'ping\\n' | effect-transport cat tcp://127.0.0.1:7000", description: "Ask, and see the answer" }
]

export const relay =
  `Joins A and B in both directions. The end of one side ends only that direction, a slow side slows the
  other, and a reset of one side resets the other. A serial port has no end: with one the end of the other side ends
  both.

  With listen: on A each connection that A accepts gets its own connection to B, or the next one that B accepts, until
  SIGINT or SIGTERM; what fails is one line on stderr and ends nothing else. Otherwise one pair is joined, and the command
  ends with it: A is opened first, then B.

  Each side that listens prints "listening ENDPOINT" on stderr, with its real port. With --json each line there is an
  object with "event" and "time" (milliseconds since 1970), and these fields:
    listening  side, endpoint
    connected  connection, a, b
    data       connection, direction, seconds, offset, bytes (hex), with --tap
    progress   seconds, open, aToB, bToA, aToBPerSecond, bToAPerSecond, with --progress
    closed     connection, aToB, bToA: both directions ended
    cut        connection, aToB, bToA: ended by a signal before
    failed     operation, endpoint, reason, message; connection, aToB, bToA where it was one
    warning    message
  aToB and bToA are bytes.

  The end of a program is the end of its connection: what it has said is delivered, and the other side is closed. It has
  failed if it ends with a status other than 0. Its standard error is that of this command.`

export const relayExamples = [
  {
    command: "effect-transport relay listen:tcp://127.0.0.1:7000 tcp://example.org:80",
    description: "Forward a port until interrupted"
  },
  {
    command: "effect-transport relay --once --progress listen:tcp://0.0.0.0:7000 unix:///run/app.sock",
    description: "One connection, and watch it"
  },
  {
    command: "effect-transport relay --tap listen:tcp://127.0.0.1:7000 tcp://127.0.0.1:5432",
    description: "See what a client and a server say"
  },
  {
    command: "effect-transport relay listen:unix:///tmp/sort.sock exec:sort",
    description: "A program for each connection, as inetd does"
  },
  {
    command: "effect-transport relay listen:tcp://127.0.0.1:7000 serial:///dev/ttyUSB0?baudRate=9600",
    description: "Serve a serial port, to one client at a time"
  }
]

export const echo = "Gives every connection back what it sends, until SIGINT or SIGTERM."

export const echoExamples = [
  { command: "effect-transport echo listen:tcp://127.0.0.1:7000", description: "On a port" },
  { command: "effect-transport echo listen:unix:///tmp/echo.sock", description: "On a Unix socket" }
]

export const cat = `Sends stdin to a connection and prints what comes back, and nothing else, on stdout.

  The end of stdin ends our direction and no more: the answer still comes. The peer's end ends stdout, and what stdin has
  left is still sent; but where stdin is a terminal, the peer's end is the end. A serial port has no end: what it sends is
  printed until a signal. A signal fails with status 1, since what
  came out may not be the whole.`

export const catExamples = [
  { command: "effect-transport cat tcp://127.0.0.1:7000", description: "Talk to a server" },
  { command: "printf 'ping\\n' | effect-transport cat unix:///run/app.sock", description: "Ask, and see the answer" },
  { command: "effect-transport cat listen:tcp://0.0.0.0:7000 > file", description: "Receive a file" },
  { command: "effect-transport cat 'fifo:?read=/run/answers&write=/run/questions'", description: "Talk over pipes" }
]

export const ports = `Lists the serial ports of this machine on stdout, with what is known of the device behind each.

  With --watch those that are there are "added", and each change is a line of its own: "added", "removed", or "changed"
  where another device has the path or more is known of it. No ports are no lines, and one on stderr.

  With --json each line is an object with "path" and, where known, "manufacturer", "vendorId", "productId" (four hex
  digits), "serialNumber", "pnpId" and "locationId"; with --watch also "event" and "time" (milliseconds since 1970).`

export const portsExamples = [
  { command: "effect-transport ports", description: "What is plugged in" },
  { command: "effect-transport ports --watch", description: "Plug it in, and see its path" },
  {
    command: "effect-transport ports --json | jq -r 'select(.vendorId == \"0403\").path'",
    description: "The path of an adapter"
  }
]

const formatter = (stream: { readonly isTTY: boolean }) =>
  CliOutput.defaultFormatter({ colors: stream.isTTY && !process.env.NO_COLOR })

/** Help that was asked for goes to stdout; what is said instead of doing what was asked goes to stderr. */
export const layerPresenter: Layer.Layer<never> = CliOutput.layerPresenter({
  present: (event) => {
    switch (event._tag) {
      case "Help":
        return event.reason === "Requested"
          ? Console.log(formatter(process.stdout).formatHelpDoc(event.helpDoc))
          : Stderr.print(formatter(process.stderr).formatHelpDoc(event.helpDoc))
      case "Version":
        return Console.log(formatter(process.stdout).formatVersion(event.name, event.version))
      case "InvalidInvocation": {
        const example = event.helpDoc.examples?.[0]?.command ?? "effect-transport --help"
        return Stderr.print([
          ...event.errors.map(({ message }) => complaint(message.replace(/\s+/g, " "))),
          `for example: ${example}`,
          `see also: ${event.commandPath.join(" ")} --help`
        ].join("\n"))
      }
    }
  }
})

const unused = Effect.die("not used by this tool")

/**
 * What `effect/cli` asks for, for the prompts and files that this tool has none of. Not `NodeServices`, whose terminal
 * opens `process.stdin`: it would take bytes from the `stdio:` endpoint.
 */
export const layerServices = Layer.mergeAll(
  FileSystem.layerNoop({}),
  Path.layer,
  Stdio.layerTest({}),
  Layer.succeed(
    Terminal.Terminal,
    Terminal.make({
      columns: unused,
      rows: unused,
      size: unused,
      readInput: unused,
      readLine: unused,
      display: () => unused
    })
  ),
  Layer.succeed(ChildProcessSpawner.ChildProcessSpawner, ChildProcessSpawner.make(() => unused))
)
