#!/usr/bin/env node
/**
 * The command-line tool: its commands, what they are given, and what becomes of the process.
 *
 * Exit status: 0 when all ended well, or at a signal; 1 where a connection or listener failed; 2 where the command line
 * is wrong.
 */
import * as NodeAddressResolver from "@effect/platform-node/NodeAddressResolver"
import * as NodeDns from "@effect/platform-node/NodeDns"
import * as Cause from "effect/Cause"
import * as CliConfig from "effect/cli/CliConfig"
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import * as Fs from "node:fs"
import * as NodeTransport from "../node/NodeTransport.ts"
import * as SerialPorts from "../node/SerialPorts.ts"
import { TransportError } from "../TransportError.ts"
import { cat } from "./cat.ts"
import { echo } from "./echo.ts"
import { ports } from "./ports.ts"
import * as Relay from "./relay.ts"
import * as Report from "./report.ts"
import * as Shutdown from "./shutdown.ts"
import * as Side from "./side.ts"
import * as Stderr from "./stderr.ts"
import * as Usage from "./usage.ts"

const seconds = (name: string, byDefault: number, description: string): Flag.Flag<Duration.Duration> =>
  Flag.Finite(name).pipe(
    Flag.withDescription(`${description} (default ${byDefault})`),
    Flag.withMetavar("SECONDS"),
    Flag.withDefault(byDefault),
    Flag.filter((value) => value >= 0, () => "a number of seconds, 0 or more"),
    Flag.map(Duration.seconds)
  )

const flag = (name: string, description: string): Flag.Flag<boolean> =>
  Flag.Boolean(name).pipe(Flag.withDescription(description), Flag.withDefault(false), Flag.withoutNegation)

const drain = seconds(
  "drain",
  5,
  "How long connections may go on after SIGINT or SIGTERM; a second signal cuts at once"
)
const connectTimeout = seconds(
  "connect-timeout",
  10,
  "How long it may take to connect, the lookup of the name included"
)

/**
 * A burst may be as large as what is served at once. That a program failed is said when its output is out: see `join`.
 */
const network = ({ connectTimeout }: { readonly connectTimeout?: Duration.Duration | undefined }) =>
  NodeTransport.layerNetworkWith({ connectTimeout, backlog: 1024, child: { exitStatus: "ignore" } }).pipe(
    Layer.provide(NodeAddressResolver.layer),
    Layer.provide(NodeDns.layer)
  )

const relayCommand = Command.make("relay", {
  once: flag("once", "End with the first connection"),
  progress: flag("progress", "Show bytes, rate and time of each direction on stderr"),
  tap: flag("tap", "Show what passes on stderr: direction, seconds since the start, offset, hex and text"),
  json: flag("json", "Say everything on stderr as one JSON object a line"),
  drain,
  connectTimeout,
  a: Side.argument("A", "The first to be opened"),
  b: Side.argument("B", "Opened anew for each connection of A")
}, Relay.relay).pipe(
  Command.provide((options) => Report.layer({ json: options.json, isNumbered: Relay.isMany(options) })),
  Command.provide((options) => network(options)),
  Command.withDescription(Usage.relay),
  Command.withShortDescription("Join two endpoints in both directions"),
  Command.withExamples(Usage.relayExamples)
)

const echoCommand = Command.make("echo", {
  drain,
  a: Side.argument("A", "Where to listen", "listen")
}, echo).pipe(
  Command.provide(() => Report.layer({ json: false, isNumbered: true })),
  Command.provide(network({})),
  Command.withDescription(Usage.echo),
  Command.withShortDescription("Give back what each connection sends"),
  Command.withExamples(Usage.echoExamples)
)

const catCommand = Command.make("cat", {
  connectTimeout,
  side: Side.argument("ENDPOINT", "Where to connect, or with listen: where to accept one connection")
}, ({ side }) => cat(side)).pipe(
  Command.provide(() => Report.layer({ json: false, isNumbered: false })),
  Command.provide((options) => network(options)),
  Command.withDescription(Usage.cat),
  Command.withShortDescription("Send stdin to a connection, and what comes back to stdout"),
  Command.withExamples(Usage.catExamples)
)

const portsCommand = Command.make("ports", {
  json: flag("json", "One JSON object a line, also of what fails"),
  watch: flag("watch", "Go on, and print each port that comes, goes or changes, until SIGINT or SIGTERM")
}, ports).pipe(
  Command.provide(({ json }) => Report.layer({ json, isNumbered: false })),
  Command.provide(SerialPorts.layer),
  Command.withDescription(Usage.ports),
  Command.withShortDescription("List the serial ports of this machine"),
  Command.withExamples(Usage.portsExamples)
)

const tool = Command.make("effect-transport").pipe(
  Command.withSubcommands([relayCommand, echoCommand, catCommand, portsCommand]),
  Command.withDescription(Usage.tool),
  Command.withExamples(Usage.toolExamples)
)

const version = (): string =>
  JSON.parse(Fs.readFileSync(new URL("../../package.json", import.meta.url), "utf8")).version

const main = Effect.andThen(
  Stderr.tolerateItsEnd,
  Effect.suspend(() => Command.runWith(tool, { version: version() })(process.argv.slice(2)))
).pipe(
  Effect.ensuring(Stderr.settle),
  Effect.tapCause((cause) => isSaid(cause) ? Effect.void : Stderr.print(Report.complaint(Cause.pretty(cause)))),
  Effect.provide([
    Shutdown.layer,
    Usage.layerPresenter,
    Usage.layerServices,
    CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions] })
  ])
)

/** Everything else is a bug of ours. */
const isSaid = (cause: Cause.Cause<unknown>): boolean => {
  const error = Cause.squash(cause)
  return CliError.isCliError(error) || error instanceof TransportError
}

const statusOf = (exit: Exit.Exit<unknown, unknown>): number =>
  Exit.isSuccess(exit) ? 0 : CliError.isCliError(Cause.squash(exit.cause)) ? 2 : 1

// Not `NodeRuntime.runMain`: a signal is to drain, where that interrupts.
Runtime.makeRunMain(({ fiber }) => {
  fiber.addObserver((exit) => process.exit(statusOf(exit)))
})(main, { disableErrorReporting: true })
