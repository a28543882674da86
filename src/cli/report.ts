/**
 * What the tool says, all of it on stderr: lines for people, or with `--json` one object a line for programs.
 *
 * `Event` is the contract of `--json`; each object has `event`, `time` (milliseconds since 1970) and the fields below.
 * For people an event is a line where it matters to them, and nothing where it is business as usual.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type { TransportError } from "../TransportError.ts"
import { hexDump } from "./hexDump.ts"
import { line as progressLine, type Progress } from "./progress.ts"
import * as Stderr from "./stderr.ts"

/** A side of the relay, as its argument is called. */
export type Letter = "A" | "B"

export type Direction = "aToB" | "bToA"

/** Bytes that went each way. */
export interface Traffic {
  aToB: number
  bToA: number
}

/** What happens. Connections are counted from 1; without a number it concerns the command as a whole. */
export type Event =
  | { readonly event: "listening"; readonly side: Letter; readonly endpoint: string }
  | { readonly event: "connected"; readonly connection: number; readonly a: string; readonly b: string }
  | Tapped
  | { readonly event: "progress" } & Progress
  /** Both directions ended in order. */
  | { readonly event: "closed"; readonly connection: number } & Readonly<Traffic>
  /** Ended by us after a signal, before both directions had ended. */
  | { readonly event: "cut"; readonly connection: number } & Readonly<Traffic>
  | Failure
  | { readonly event: "warning"; readonly message: string }

/** Bytes that passed; `offset` is that of the first in its direction, `seconds` those since the command began. */
interface Tapped {
  readonly event: "data"
  readonly connection: number
  readonly direction: Direction
  readonly seconds: number
  readonly offset: number
  readonly bytes: Uint8Array
}

/** `reason` is the `_tag` of the error's reason. */
interface Failure {
  readonly event: "failed"
  readonly connection?: number
  readonly operation: string
  readonly endpoint: string
  readonly reason: string
  readonly message: string
  readonly aToB?: number
  readonly bToA?: number
}

/** The failure of one connection, or of the command. */
export const failure = (
  { cause, endpoint, operation, reason }: TransportError,
  of?: { readonly connection: number } & Readonly<Traffic>
): Event => ({
  event: "failed",
  operation,
  endpoint,
  reason: reason._tag,
  message: reason._tag === "Failed" && cause instanceof Error ? cause.message : reason.message,
  ...of
})

/**
 * Where events go.
 */
export class Report extends Context.Service<Report, {
  readonly say: (event: Event) => Effect.Effect<void>
}>()("effect-transport/cli/report") {}

/** `isNumbered`: whether people are told which of several connections a line is about. Logs go the same way. */
export const layer = (
  options: { readonly json: boolean; readonly isNumbered: boolean }
): Layer.Layer<Report> =>
  Layer.merge(
    Layer.succeed(Report, { say: options.json ? sayJson : (event) => sayText(event, options.isNumbered) }),
    Logger.layer([Logger.make(({ cause, date, message }) => {
      const [first, ...more] = Array.isArray(message) ? message : [message]
      const details = [...more, ...(cause.reasons.length === 0 ? [] : [Cause.squash(cause)])]
      const text = [first, ...details.map((detail) => detail instanceof Error ? detail.message : detail)].join(": ")
      const event: Event = { event: "warning", message: text }
      Stderr.printUnsafe(options.json ? json(event, date.getTime()) : textOf(event, options.isNumbered)!)
    })])
  )

const sayJson = (event: Event): Effect.Effect<void> =>
  Effect.flatMap(Clock.currentTimeMillis, (time) => Stderr.print(json(event, time)))

const sayText = (event: Event, isNumbered: boolean): Effect.Effect<void> => {
  if (event.event === "progress" && Stderr.canDraw()) return Stderr.draw(progressLine(event))
  const text = textOf(event, isNumbered)
  return text === undefined ? Effect.void : Stderr.print(text)
}

const json = ({ event, ...fields }: Event, time: number): string =>
  JSON.stringify({ event, time, ...fields, ...("bytes" in fields && { bytes: hex(fields.bytes) }) })

const hex = ({ buffer, byteLength, byteOffset }: Uint8Array): string =>
  Buffer.from(buffer, byteOffset, byteLength).toString("hex")

const textOf = (event: Event, isNumbered: boolean): string | undefined => {
  const about = (connection: number | undefined) =>
    isNumbered && connection !== undefined ? `connection ${connection}: ` : ""
  switch (event.event) {
    case "listening":
      return `listening ${event.endpoint}`
    case "connected":
    case "closed":
      return undefined
    case "cut":
      return complaint(`${about(event.connection)}cut short at shutdown`)
    case "failed":
      return complaint(`${about(event.connection)}${event.endpoint}: ${event.reason}: ${event.message}`)
    case "warning":
      return complaint(event.message)
    case "progress":
      return progressLine(event)
    case "data": {
      const arrow = event.direction === "aToB" ? "->" : "<-"
      const head = `${isNumbered ? `${event.connection} ` : ""}${arrow} ${event.seconds.toFixed(6)}  `
      return hexDump(event.bytes, event.offset).map((row) => head + row).join("\n")
    }
  }
}

/** What is said for people: one line. */
export const complaint = (text: string): string => `effect-transport: ${printable(text)}`

/** One line, whatever stands in it: the names in it are other people's. */
export const printable = (text: string): string =>
  // oxlint-disable-next-line no-control-regex
  text.replace(/[\u0000-\u001f\u007f]+/g, " ")
