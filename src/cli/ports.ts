/**
 * `ports`: the serial ports of this machine, once or for as long as one looks on.
 *
 * Ports are what is asked for, so they go to stdout; all else is said on stderr, as every command does. A reader of
 * stdout that is gone has seen what it wanted.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { fieldsOf, type PortInfo } from "../node/serial/portInfo.ts"
import * as SerialPorts from "../node/SerialPorts.ts"
import type { TransportError } from "../TransportError.ts"
import { failure, printable, Report } from "./report.ts"
import { Shutdown } from "./shutdown.ts"

export interface Options {
  readonly json: boolean
  readonly watch: boolean
}

/** Ends after one look, or with `watch` at a signal. What it fails with has been said. */
export const ports = (
  options: Options
): Effect.Effect<void, TransportError, Report | SerialPorts.SerialPorts | Shutdown> =>
  Effect.gen(function*() {
    const report = yield* Report
    const { asked } = yield* Shutdown
    const { list } = yield* SerialPorts.SerialPorts
    // Without a listener a reader that is gone would end the process.
    process.stdout.on("error", () => {})
    const printing = Effect.gen(function*() {
      const now = yield* list
      if (now.length === 0) yield* report.say({ event: "warning", message: "no serial ports" })
      const lines = options.watch ? changed(options) : Stream.fromIterable(listed(now, options))
      yield* lines.pipe(
        Stream.mapEffect(print),
        Stream.takeWhile((isRead) => isRead),
        Stream.runDrain
      )
    })
    yield* Effect.raceFirst(printing, asked).pipe(
      Effect.tapError((error) => report.say(failure(error)))
    )
  })

/** What is printed of ports, a line each. */
export const listed = (ports: ReadonlyArray<PortInfo>, { json }: Pick<Options, "json">): ReadonlyArray<string> =>
  json ? ports.map((port) => JSON.stringify(fieldsOf(port))) : table(ports)

/** What is printed of changes, a line each; first of those that are there. */
export const changed = (
  { json }: Pick<Options, "json">
): Stream.Stream<string, TransportError, SerialPorts.SerialPorts> =>
  json ? Stream.mapEffect(SerialPorts.changes, changeJson) : Stream.map(SerialPorts.changes, textOf)

const changeJson = ({ _tag, port }: SerialPorts.PortChange): Effect.Effect<string> =>
  Effect.map(
    Clock.currentTimeMillis,
    (time) => JSON.stringify({ event: _tag.toLowerCase(), time, ...fieldsOf(port) })
  )

const textOf = ({ _tag, port }: SerialPorts.PortChange): string =>
  [_tag.toLowerCase().padEnd(8), ...rowOf(port).filter((cell) => cell !== "")].join("  ")

const head = ["PATH", "USB ID", "SERIAL NUMBER", "LOCATION", "MANUFACTURER"]

const rowOf = (port: PortInfo): ReadonlyArray<string> => {
  const id = Option.zipWith(port.vendorId, port.productId, (vendor, product) => `${vendor}:${product}`)
  const cells = [Option.some(port.path), id, port.serialNumber, port.locationId, port.manufacturer]
  return cells.map((cell) => printable(Option.getOrElse(cell, () => "")))
}

const table = (ports: ReadonlyArray<PortInfo>): ReadonlyArray<string> => {
  if (ports.length === 0) return []
  const rows = [head, ...ports.map(rowOf)]
  const widths = head.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ").trimEnd())
}

/** Whether anybody still reads. Completes when the line has left the process. */
const print = (line: string): Effect.Effect<boolean> =>
  Effect.callback<boolean>((resume) => {
    process.stdout.write(`${line}\n`, (error) => resume(Effect.succeed(error == null)))
  })
