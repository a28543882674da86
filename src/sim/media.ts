/**
 * The controls of `Medium`, on the hosts of a world.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { durationOf, isCount } from "../internal/check.ts"
import { startMillis } from "./life.ts"
import type * as Medium from "./Medium.ts"
import { type Host, type Hosts, keyOf } from "./net/hosts.ts"
import { Pipe } from "./net/pipe.ts"
import { SerialDevice } from "./net/serial.ts"
import { dateMaxMs, type TlsTrouble } from "./net/tls.ts"
import { InvalidWorld } from "./SimError.ts"
import type * as World from "./World.ts"

type Media = Pick<World.World["Service"], "fifo" | "cable" | "tls" | "deny" | "leaveSocket">

export const mediaOf = (hosts: Hosts, hostOf: (handle: World.Host) => Host): Media => {
  const { engine } = hosts
  const tell = (host: Host, note: string) => engine.recording.add("fault", host.name, { note })

  /** Something that is so until the scope ends. */
  const lasting: Lasting = (host, note, begin) =>
    Effect.asVoid(Effect.acquireRelease(
      Effect.sync(() => {
        tell(host, note)
        return begin()
      }),
      (end) =>
        Effect.sync(() => {
          tell(host, `${note} is over`)
          end()
        })
    ))

  const deviceOf = (device: SerialDevice, host: Host): Medium.Device => {
    const { out, path } = device
    const counted = (what: string, run: (bytes: number) => void) => (bytes: number) =>
      isCount(bytes, 1)
        ? Effect.sync(() => {
          tell(host, `serial-${what} of ${bytes} bytes from ${path}`)
          run(bytes)
        })
        : invalid("bytes", "a positive integer", bytes)
    return {
      path,
      garble: counted("garble", (bytes) => out.garble(bytes)),
      lose: counted("overrun", (bytes) => out.lose(bytes)),
      garbage: lasting(host, `serial-garbage from ${path}`, () => {
        out.garbage()
        return () => out.ungarbage()
      }),
      sendBreak: (given) => {
        const duration = durationOf(given)
        return duration === undefined
          ? invalid("duration", "a finite duration", given)
          : Effect.sync(() => {
            tell(host, `serial-break from ${path}`)
            out.sendBreak(Duration.toMillis(duration) * 1e6)
          })
      },
      stall: lasting(host, `serial-stall of ${path}`, () => {
        out.stall()
        return () => out.unstall()
      }),
      unplug: Effect.sync(() => {
        tell(host, `serial-unplug of ${path}`)
        device.unplug()
      }),
      plug: Effect.sync(() => {
        tell(host, `${path} is plugged in`)
        device.plug()
      })
    }
  }

  return {
    fifo: (handle, path) =>
      Effect.suspend(() => {
        const host = hostOf(handle)
        const wrong = wrongPath(host, path)
        if (wrong !== undefined) return invalid("path", wrong, path)
        const pipe = new Pipe(engine, hosts.owner, host, path)
        host.addFile(path, pipe)
        return Effect.succeed<Medium.Fifo>({
          path,
          loseReaders: Effect.sync(() => {
            tell(host, `fifo-reader-gone of ${path}`)
            pipe.loseReaders()
          }),
          loseWriters: Effect.sync(() => {
            tell(host, `fifo-writer-gone of ${path}`)
            pipe.loseWriters()
          })
        })
      }),

    cable: (a, pathOfA, b, pathOfB, options) =>
      Effect.suspend(() => {
        const [one, other] = [hostOf(a), hostOf(b)]
        const wrong = wrongPath(one, pathOfA)
        if (wrong !== undefined) return invalid("pathOfA", wrong, pathOfA)
        const wrongOther = one === other && pathOfA === pathOfB
          ? "another path than the first"
          : wrongPath(other, pathOfB)
        if (wrongOther !== undefined) return invalid("pathOfB", wrongOther, pathOfB)
        const hasFlowControl = options?.hasFlowControl ?? true
        const devices = [
          new SerialDevice(engine, hosts.owner, one, pathOfA, hasFlowControl),
          new SerialDevice(engine, hosts.owner, other, pathOfB, hasFlowControl)
        ] as const
        SerialDevice.join(...devices)
        one.addFile(pathOfA, devices[0])
        other.addFile(pathOfB, devices[1])
        return Effect.succeed<Medium.Cable>({ a: deviceOf(devices[0], one), b: deviceOf(devices[1], other) })
      }),

    tls: (handle) => tlsOf(hostOf(handle), lasting),

    deny: (handle, path) => {
      const host = hostOf(handle)
      return lasting(host, `permission-denied for ${path}`, () => host.deny(path))
    },

    leaveSocket: (handle, path) =>
      Effect.suspend(() => {
        const host = hostOf(handle)
        const where = keyOf({ _tag: "unix", path, abstract: false })
        const wrong = host.listening.has(where) ? "a path that nobody listens on" : wrongPath(host, path)
        if (wrong !== undefined) return invalid("path", wrong, path)
        tell(host, `unix-stale-path at ${path}`)
        host.leaveSocket(path)
        return Effect.void
      })
  }
}

type Lasting = (host: Host, note: string, begin: () => () => void) => Effect.Effect<void, never, Scope.Scope>

const tlsOf = (host: Host, lasting: Lasting): Medium.Tls => {
  const { tls } = host
  const ownNames = tls.certificate.names
  const trouble = (note: string, what: TlsTrouble) => lasting(host, note, () => tls.begin(what))
  return {
    certificate: ({ isTrusted = true, names = ownNames, validFrom, validUntil }) =>
      Effect.suspend(() => {
        const fromMs = validFrom === undefined ? -dateMaxMs : wallOf(validFrom)
        const untilMs = validUntil === undefined ? dateMaxMs : wallOf(validUntil)
        if (fromMs === undefined) return invalid("validFrom", "a finite duration", validFrom)
        if (untilMs === undefined) return invalid("validUntil", "a finite duration", validUntil)
        tls.certificate = { names, validFromMs: fromMs, validUntilMs: untilMs, isTrusted }
        return Effect.void
      }),
    alpn: (protocols) =>
      Effect.sync(() => {
        tls.alpn = protocols
      }),
    stallHandshakes: trouble("tls-handshake-stall", "stall"),
    speakPlain: trouble("tls-plaintext-peer", "plain"),
    omitCloseNotify: trouble("tls-missing-close-notify", "silentEnd"),
    alertAfter: (records) =>
      isCount(records, 0)
        ? lasting(host, `tls-alert after ${records} records`, () => tls.beginAlerts(records))
        : invalid("records", "a non-negative integer", records)
  }
}

const wallOf = (input: Duration.Input): number | undefined => {
  const duration = durationOf(input)
  return duration === undefined ? undefined : startMillis + Duration.toMillis(duration)
}

const wrongPath = (host: Host, path: string): string | undefined =>
  path === "" || path.includes("\0")
    ? "a path without NUL"
    : host.files.has(path) || host.listening.has(keyOf({ _tag: "unix", path, abstract: false }))
    ? `a path that is free on ${host.name}`
    : undefined

const invalid = (field: string, expected: string, actual: unknown): Effect.Effect<never, InvalidWorld> =>
  Effect.fail(new InvalidWorld({ field, expected, actual }))
