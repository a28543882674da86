/**
 * What a world sets up for endpoints other than sockets, and what it can do to it: named pipes, serial cables, and the TLS
 * of a host.
 *
 * `World` makes them. Each fault says what the two ends see; a scoped one lasts as long as its scope.
 *
 * **Example** (A device that is pulled out in the middle of a conversation)
 *
 * ```ts import.meta.vitest
 * import { Effect, Exit } from "effect"
 * import { Connection, Lines, Network, Protocol } from "effect-transport"
 * import { Sim, World } from "effect-transport/sim"
 *
 * const open = (endpoint: string) =>
 *   Effect.gen(function*() {
 *     const { connect } = yield* Network.Network
 *     return yield* Protocol.attach(Lines.protocol(), yield* connect(endpoint))
 *   })
 *
 * const device = Effect.flatMap(open("serial:///dev/ttyS0?baudRate=9600"), (lines) => lines.write("ready"))
 *
 * const driver = Effect.gen(function*() {
 *   const lines = yield* open("serial:///dev/ttyUSB0?baudRate=9600")
 *   yield* Connection.take(lines)
 *   return yield* Connection.take(lines).pipe(
 *     Effect.catchReason("TransportError", "Disconnected", ({ detail }) => Effect.succeed(detail))
 *   )
 * })
 *
 * const world = Effect.gen(function*() {
 *   const { cable, host } = yield* World.World
 *   const [pc, sensor] = [yield* host("pc"), yield* host("sensor")]
 *   const { a } = yield* cable(pc, "/dev/ttyUSB0", sensor, "/dev/ttyS0")
 *   const driving = yield* pc.fork(driver)
 *   yield* Effect.sleep("1 second")
 *   yield* sensor.run(device)
 *   yield* Effect.sleep("1 second")
 *   yield* a.unplug
 *   return yield* driving.ended
 * })
 *
 * Sim.run(world, { seed: 1 }).exit // => Exit.succeed("the device is gone")
 * ```
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { InvalidWorld } from "./SimError.ts"

/**
 * A named pipe of a host, with room for 64 KiB.
 *
 * **Details**
 *
 * As POSIX has it: to open one end waits for another program that opens the other. Any number may write to it and read
 * from it. What is written in one piece of up to 4096 bytes stays in one piece; of several readers each byte goes to one,
 * whichever reads first. Input ends when the last writer has closed. A write when nobody reads any more fails with `Reset`
 * (EPIPE), and an idle writer learns nothing of it. There is no reset: what was written before an abort is still read.
 *
 * @category models
 * @since 0.1.0
 */
export interface Fifo {
  readonly path: string
  /**
   * All who read are gone, as if their process had died: they see `Disconnected`; whoever writes sees `Reset`, at once
   * where a write waits, else at the next.
   */
  readonly loseReaders: Effect.Effect<void>
  /**
   * All who write are gone, as if their process had died: they see `Disconnected`, and what they were writing and the pipe
   * had no room for is lost; whoever reads sees the end after what was written.
   */
  readonly loseWriters: Effect.Effect<void>
}

/**
 * How two serial devices are joined.
 *
 * @category models
 * @since 0.1.0
 */
export interface CableOptions {
  /**
   * Whether a receiver whose 4096 bytes of input are full holds the sender back, by RTS and CTS (the default). Without it
   * what comes then is lost, as on a cable of three wires.
   */
  readonly hasFlowControl?: boolean | undefined
}

/**
 * A null-modem cable between two serial devices.
 *
 * **Details**
 *
 * Bytes take ten bits each at the rate of the endpoint that sends them. Each device keeps 4096 bytes of what is to be sent,
 * and as many of what has arrived. Nothing tells an end: to the other side a close is silence, and what is sent to a device
 * that nobody has open is lost. Where the rates of both ends differ, or their data bits, parity or stop bits, what arrives
 * is garbage. A device has one user, a
 * second one is refused with `Busy`. A close is complete when all has left; at 9600 baud the default `closeTimeout` of 5
 * seconds is enough for 4800 bytes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Cable {
  readonly a: Device
  readonly b: Device
}

/**
 * One end of a cable, and the faults of what it sends.
 *
 * @category models
 * @since 0.1.0
 */
export interface Device {
  readonly path: string
  /** The next bytes that arrive from here are others: parity or framing errors that nobody checks. The sender sees nothing. */
  readonly garble: (bytes: number) => Effect.Effect<void, InvalidWorld>
  /** The next bytes from here are lost by an overrun at the other end. The sender sees nothing. */
  readonly lose: (bytes: number) => Effect.Effect<void, InvalidWorld>
  /** All that arrives from here is garbage, as where the rates differ. The sender sees nothing. */
  readonly garbage: Effect.Effect<void, never, Scope.Scope>
  /** Holds the line low: nothing is sent for so long, and the other end reads a NUL byte. */
  readonly sendBreak: (duration: Duration.Input) => Effect.Effect<void, InvalidWorld>
  /** The other end says stop, by RTS or XOFF: writers here wait when 4096 bytes are queued, and readers there for ever. */
  readonly stall: Effect.Effect<void, never, Scope.Scope>
  /**
   * The device is pulled out of its host: whoever has it open sees `Disconnected`, a later open `NotFound`. To the other end
   * it is silence. What was on its way to it is lost.
   */
  readonly unplug: Effect.Effect<void>
  /** It is there again, to be opened. */
  readonly plug: Effect.Effect<void>
}

/**
 * What a certificate says. Nothing is signed: whether it is trusted is a word of its own.
 *
 * @category models
 * @since 0.1.0
 */
export interface Certificate {
  /** Host names and addresses; `*.` stands for one label. Default: the host's name and address, and those of localhost. */
  readonly names?: ReadonlyArray<string> | undefined
  /** From then on it is valid, counted from the beginning of the world. Default: always was. By the client's clock. */
  readonly validFrom?: Duration.Input | undefined
  /** From then on it is not. Default: never. */
  readonly validUntil?: Duration.Input | undefined
  /** Whether clients know who issued it. Default true. */
  readonly isTrusted?: boolean | undefined
}

/**
 * The TLS of a host: what it shows to clients, and what goes wrong with it.
 *
 * **Details**
 *
 * Records are those of TLS 1.3 with nothing encrypted: a handshake of one round trip, data in records of at most 16 KiB, and
 * a close_notify before each end. A handshake that takes 10 seconds fails with `TimedOut` in `handshake`. A client checks
 * whether the certificate is trusted, valid by its own clock, and for the host of its endpoint, in this order; what it does
 * not like fails its open with `TlsRejected`. The server never hands out a connection whose handshake failed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tls {
  /** Shows this one from now on. */
  readonly certificate: (certificate: Certificate) => Effect.Effect<void, InvalidWorld>
  /**
   * What its programs speak from now on, as clients and servers, first choice first. Where both ends say something and have
   * nothing in common, the open fails with `TlsRejected` (`NoCommonProtocol`). Default: nothing, which goes with all.
   */
  readonly alpn: (protocols: ReadonlyArray<string>) => Effect.Effect<void>
  /** No ClientHello is answered until the scope ends: clients see nothing, and then `TimedOut`. */
  readonly stallHandshakes: Effect.Effect<void, never, Scope.Scope>
  /** Clients are answered in the clear: their open fails with `TlsRejected` (`PlaintextPeer`). */
  readonly speakPlain: Effect.Effect<void, never, Scope.Scope>
  /** What ends, ends without close_notify: the peer reads what was sent, and then `Truncated`. */
  readonly omitCloseNotify: Effect.Effect<void, never, Scope.Scope>
  /**
   * A connection that has sent so many records of data sends an alert in the place of the next: both ends see `TlsRejected`
   * (`Other`), the peer after what was sent before. Of several that last, the fewest records count.
   */
  readonly alertAfter: (records: number) => Effect.Effect<void, InvalidWorld, Scope.Scope>
}
