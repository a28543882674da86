/**
 * What each kind of fault waits for, and what it does. The table in `Fault.ts` says what programs see of it.
 */
import type * as Fault from "../Fault.ts"
import type { Direction } from "../net/direction.ts"
import type { Connection, Host } from "../net/hosts.ts"
import { Pipe } from "../net/pipe.ts"
import { SerialDevice } from "../net/serial.ts"
import { NativeError, type Socket } from "../net/socket.ts"
import type { TlsSettings, TlsTrouble } from "../net/tls.ts"
import type { Armed, HostControl, Injector } from "./injector.ts"

type Of<K extends Fault.Kind> = Extract<Fault.Fault, { readonly _tag: K }>

type Effect<K extends Fault.Kind> = (armed: Armed<Of<K>>, injector: Injector) => void

type OfFamily<F extends Fault.Family> = { readonly [K in (typeof Fault.families)[F][number]]: Effect<K> }

/** Linux sends a segment again for this long, and then gives the connection up (tcp_retries2 is 15). */
const retransmitNs = 924.6e9

/** The openings ask for theirs as they go: `Hosts.trouble`. */
const asked = () => {}

const connect: OfFamily<"connect"> = {
  refused: asked,
  blackhole: asked,
  slowConnect: asked,
  resetAfterAccept: asked,
  acceptStall: asked,
  acceptFails: asked,
  backlogFull: asked,
  addressInUse: asked,
  noPorts: asked,
  noDescriptors: asked,
  noName: asked,
  slowName: asked,
  rotatedName: asked
}

// ---------------------------------------------------------------------------------------------------------------------
// One direction of a connection
// ---------------------------------------------------------------------------------------------------------------------

interface OnWay {
  readonly connection: number
  readonly direction: "c>s" | "s>c"
}

const wayOf = ({ client, server }: Connection, { direction }: OnWay): Direction =>
  direction === "c>s" ? client.out : server.out

/** Runs when the direction comes to be; `fire` says that it has come up. */
const onWay = <K extends Fault.Kind>(
  set: (
    way: Direction,
    fault: Of<K>,
    fire: (at?: number) => void,
    context: { readonly armed: Armed<Of<K>>; readonly injector: Injector }
  ) => void
): Effect<K> =>
(armed, injector) => {
  const fault = armed.fault as Of<K> & OnWay
  injector.withConnection(fault.connection, (connection) => {
    const way = wayOf(connection, fault)
    const fire = (at = "at" in fault ? fault.at as number : way.sentBytes) =>
      injector.fire(armed, { host: way.sender.host.name, connection: fault.connection, direction: fault.direction, at })
    set(way, fault, fire, { armed, injector })
  })
}

/** The same, for what happens before a byte is sent. */
const beforeSending = <K extends Fault.Kind & Extract<Fault.Fault, { readonly at: number }>["_tag"]>(
  run: (way: Direction, fault: Of<K>, context: { readonly armed: Armed<Of<K>>; readonly injector: Injector }) => void
): Effect<K> =>
  onWay((way, fault, fire, context) =>
    way.before((fault as { readonly at: number }).at, () => {
      fire()
      run(way, fault, context)
    })
  )

const flow: OfFamily<"flow"> = {
  delay: beforeSending((way, { byNs }) => {
    way.shape.onceNs += byNs
  }),
  jitter: beforeSending((way, { upToNs }, { armed, injector }) => {
    way.shape.jitter = () => Math.floor(armed.stream.fraction() * upToNs)
    injector.lasting(Infinity, () => {
      way.shape.jitter = undefined
    })
  }),
  bandwidth: beforeSending((way, { bytesPerSecond }, { injector }) => {
    way.shape.bytesPerSecond = bytesPerSecond
    injector.lasting(Infinity, () => {
      way.shape.bytesPerSecond = Infinity
    })
  }),
  coalesce: onWay((way, { at, windowNs, windows }, fire, { armed, injector }) => {
    way.gather(at, windowNs, windows, (from) => {
      if (armed.firedNs !== undefined) return
      fire(from)
      injector.lasting(Infinity, () => way.ungather())
    })
  }),
  stall: beforeSending((way, { forNs }, { injector }) => {
    way.stall()
    injector.lasting(forNs, () => way.unstall())
  }),
  clog: (armed, injector) =>
    injector.when(armed.fault.when, () =>
      onWay<"clog">((way, { forNs }, fire) => {
        fire()
        way.clog()
        injector.lasting(forNs, () => way.unclog())
      })(armed, injector)),
  trickle: beforeSending((way, { bytes, everyNs }, { injector }) => {
    way.trickle(bytes, everyNs)
    injector.lasting(Infinity, () => way.untrickle())
  }),
  fragment: onWay((way, { at }, fire) => {
    way.before(at, () => fire())
    // Nor does the receiver's system join them again.
    way.beforeReading(at, () => {})
  }),
  shortWrite: onWay((way, { at, forNs }, fire, { injector }) =>
    way.beforeTaking(at, () => {
      fire()
      way.sender.shorten()
      injector.lasting(forNs, () => way.sender.unshorten())
    })
  ),
  shortRead: onWay((way, { at, bytesMax }, fire, { injector }) =>
    way.beforeReading(at, () => {
      fire()
      way.receiver.readMax = bytesMax
      injector.lasting(Infinity, () => {
        way.receiver.readMax = Infinity
      })
    })
  ),
  slowReader: onWay((way, { at, bytesPerSecond }, fire, { injector }) =>
    way.beforeReading(at, () => {
      fire()
      way.receiver.readBytesPerSecond = bytesPerSecond
      injector.lasting(Infinity, () => {
        way.receiver.readBytesPerSecond = Infinity
      })
    })
  ),
  buffer: onWay((way, { bytes, side }, fire) => {
    fire()
    way.setBuffer(side, bytes)
  })
}

// ---------------------------------------------------------------------------------------------------------------------
// The end of a connection
// ---------------------------------------------------------------------------------------------------------------------

const timedOut = () => new NativeError("ETIMEDOUT", "the peer does not answer")

const end: OfFamily<"end"> = {
  finDelay: onWay((way, { byNs }, fire) => {
    way.finExtraNs = () => {
      fire()
      return byNs
    }
  }),
  finLost: onWay((way, _fault, fire) => {
    way.finExtraNs = () => {
      fire()
      return Infinity
    }
  }),
  cut: onWay((way, { at, end: by }, fire) =>
    way.before(at, () => {
      fire()
      way.cut(by)
    }, true)
  ),
  reset: (armed, injector) =>
    injector.when(armed.fault.when, () =>
      injector.withConnection(armed.fault.connection, ({ client, id, server }) => {
        injector.fire(armed, { connection: id })
        const isLossy = armed.fault.unread === "lost"
        for (const socket of [client, server]) socket.out.reset(isLossy)
      })),
  resetMidWrite: onWay((way, { at }, fire) =>
    way.beforeTaking(at, () => {
      fire()
      way.reset()
      way.sender.break(new NativeError("ECONNRESET", "the peer reset the connection"))
    })
  ),
  closeHang: onWay((way, { forNs }, fire) => {
    way.sender.endExtraNs = () => {
      fire()
      return forNs
    }
  }),
  lateWriteError: beforeSending((way, { afterNs }, { injector }) => {
    way.stall()
    injector.engine.at(injector.engine.nowNs + afterNs, injector.hosts.owner, () => way.sender.break(timedOut()))
  }),
  idleDrop: (armed, injector) =>
    injector.withConnection(armed.fault.connection, (connection) => {
      const { engine } = injector
      const { afterNs, answer } = armed.fault
      const { client, id, server } = connection
      let latestNs = engine.nowNs
      const told = () => {
        latestNs = engine.nowNs
      }
      client.out.onSend = server.out.onSend = told
      const forget = () => {
        if (client.isClosed && server.isClosed) return
        if (latestNs + afterNs > engine.nowNs) {
          engine.at(latestNs + afterNs, injector.hosts.owner, forget)
          return
        }
        injector.fire(armed, { connection: id })
        for (const socket of [client, server]) {
          socket.out.sever(() =>
            answer === "silence"
              ? engine.at(engine.nowNs + retransmitNs, injector.hosts.owner, () => socket.break(timedOut()))
              : socket.out.refused()
          )
        }
      }
      engine.at(engine.nowNs + afterNs, injector.hosts.owner, forget)
    }),
  keepaliveExpiry: (armed, injector) =>
    injector.when(armed.fault.when, () =>
      injector.withConnection(armed.fault.connection, (connection) => {
        const socket: Socket = connection[armed.fault.side]
        if (socket.isClosed) return
        injector.fire(armed, { host: socket.host.name, connection: connection.id })
        socket.break(timedOut())
      }))
}

// ---------------------------------------------------------------------------------------------------------------------
// Hosts
// ---------------------------------------------------------------------------------------------------------------------

type HostKind = (typeof Fault.families)["host"][number]

const onHost = <K extends HostKind>(
  run: (host: HostControl, fault: Of<K>, injector: Injector) => void
): Effect<K> =>
(armed, injector) => {
  const fault = armed.fault as Of<HostKind>
  injector.when(fault.when, () =>
    injector.withHost(fault.host, (host) => {
      injector.fire(armed, { host: host.name })
      run(host, armed.fault, injector)
    }))
}

const ofHosts: OfFamily<"host"> = {
  stop: onHost((host) => host.stop()),
  kill: onHost((host) => host.kill()),
  powerOff: onHost((host) => host.powerOff()),
  restart: onHost((host, { by, disk, downNs }) => host.restart(by, downNs, disk)),
  pause: onHost((host, { forNs }, injector) => {
    host.pause()
    injector.lasting(forNs, () => host.resume())
  }),
  clockJump: onHost((host, { byNs }) => host.jumpClock(byNs)),
  clockDrift: onHost((host, { ppm }) => host.driftClock(ppm)),
  slowCpu: onHost((host, { forNs, stepNs }, injector) => {
    host.slow(stepNs)
    injector.lasting(forNs, () => host.slow(0))
  })
}

// ---------------------------------------------------------------------------------------------------------------------
// TLS, paths and devices of hosts
// ---------------------------------------------------------------------------------------------------------------------

type Onward = (typeof Fault.families)["tls" | "path" | "serial"][number]

/** Runs when the time has come and the host is there. */
const atHost = <K extends Onward>(
  { fault }: Armed<Of<K>>,
  injector: Injector,
  run: (host: Host) => void
): void => {
  const { host, when } = fault as Of<Onward>
  injector.when(when, () => injector.withHost(host, () => run(injector.hosts.byName.get(host)!)))
}

/** What `begin` answers ends it. */
const onTls = <K extends (typeof Fault.families)["tls"][number]>(
  begin: (tls: TlsSettings, fault: Of<K>) => () => void
): Effect<K> =>
(armed, injector) =>
  atHost(armed, injector, (host) => {
    injector.fire(armed, { host: host.name })
    injector.lasting((armed.fault as Of<"tlsAlert">).forNs, begin(host.tls, armed.fault))
  })

const troubled = <K extends (typeof Fault.families)["tls"][number]>(trouble: TlsTrouble): Effect<K> =>
  onTls((tls) => tls.begin(trouble))

const tls: OfFamily<"tls"> = {
  tlsHandshakeStall: troubled("stall"),
  tlsUntrusted: troubled("untrusted"),
  tlsExpired: troubled("expired"),
  tlsWrongName: troubled("wrongName"),
  tlsAlpnMismatch: troubled("ownProtocol"),
  tlsPlaintextPeer: troubled("plain"),
  tlsMissingCloseNotify: troubled("silentEnd"),
  tlsAlert: onTls((tls, { records }) => tls.beginAlerts(records))
}

const path: OfFamily<"path"> = {
  unixStalePath: (armed, injector) =>
    atHost(armed, injector, (host) => {
      const { path } = armed.fault
      host.whenMet(path, () => {
        if (host.files.has(path)) return
        host.whenFree(path, () => {
          injector.fire(armed, { host: host.name })
          host.leaveSocket(path)
        })
      })
    }),
  pathPermissionDenied: (armed, injector) =>
    atHost(armed, injector, (host) => {
      const { forNs, path } = armed.fault
      host.whenMet(path, () => {
        injector.fire(armed, { host: host.name })
        injector.lasting(forNs, host.deny(path))
      })
    }),
  fifoReaderGone: (armed, injector) =>
    atHost(armed, injector, (host) =>
      host.whenFile(armed.fault.path, (file) => {
        if (!(file instanceof Pipe)) return
        file.whenRead(() => {
          injector.fire(armed, { host: host.name })
          file.loseReaders()
        })
      })),
  fifoWriterGone: (armed, injector) =>
    atHost(armed, injector, (host) =>
      host.whenFile(armed.fault.path, (file) => {
        if (!(file instanceof Pipe)) return
        file.whenWritten(() => {
          injector.fire(armed, { host: host.name })
          file.loseWriters()
        })
      }))
}

const onDevice = <K extends (typeof Fault.families)["serial"][number]>(
  run: (device: SerialDevice, fault: Of<K>, injector: Injector) => void
): Effect<K> =>
(armed, injector) =>
  atHost(armed, injector, (host) =>
    host.whenFile((armed.fault as Of<Onward & `serial${string}`>).path, (file) => {
      if (!(file instanceof SerialDevice)) return
      injector.fire(armed, { host: host.name })
      run(file, armed.fault, injector)
    }))

const serial: OfFamily<"serial"> = {
  serialGarble: onDevice(({ out }, { bytes }) => out.garble(bytes)),
  serialOverrun: onDevice(({ out }, { bytes }) => out.lose(bytes)),
  serialBreak: onDevice(({ out }, { forNs }) => out.sendBreak(forNs)),
  serialGarbage: onDevice(({ out }, { forNs }, injector) => {
    out.garbage()
    injector.lasting(forNs, () => out.ungarbage())
  }),
  serialStall: onDevice(({ out }, { forNs }, injector) => {
    out.stall()
    injector.lasting(forNs, () => out.unstall())
  }),
  serialUnplug: onDevice((device, { forNs }, injector) => {
    device.unplug()
    injector.lasting(forNs, () => device.plug())
  }),
  serialPlug: onDevice((device) => device.plug())
}

// ---------------------------------------------------------------------------------------------------------------------
// What lies between hosts
// ---------------------------------------------------------------------------------------------------------------------

const pathsBetween = (
  { hosts }: Injector,
  groups: ReadonlyArray<ReadonlyArray<string>>,
  isOneWay: boolean
) => {
  const path = (from: string, to: string) => hosts.path(hosts.byName.get(from)!, hosts.byName.get(to)!)
  return groups.flatMap((group, i) =>
    groups.flatMap((other, j) =>
      i === j || (isOneWay && i > 0) ? [] : group.flatMap((from) => other.map((to) => path(from, to)))
    )
  )
}

const net: OfFamily<"net"> = {
  partition: (armed, injector) => {
    const { byNs, forNs, groups, isOneWay, mode, when } = armed.fault
    injector.when(when, () =>
      injector.withHosts(groups.flat(), () => {
        injector.fire(armed, {})
        for (const path of pathsBetween(injector, groups, isOneWay)) {
          if (mode === "slow") path.slow(byNs)
          else if (mode === "drop") path.lose()
          else path.block()
          injector.lasting(forNs, () => {
            if (mode === "slow") path.slow(-byNs)
            else if (mode === "drop") path.unlose()
            else path.unblock()
          })
        }
      }))
  },
  flap: (armed, injector) => {
    const { downNs, groups, times, upNs, when } = armed.fault
    const { engine, hosts } = injector
    const down = (left: number) => {
      if (left === 0) return
      const paths = pathsBetween(injector, groups, false)
      for (const path of paths) path.block()
      injector.lasting(downNs, (isHealed) => {
        for (const path of paths) path.unblock()
        if (!isHealed) engine.at(engine.nowNs + upNs, hosts.owner, () => down(left - 1))
      })
    }
    injector.when(when, () =>
      injector.withHosts(groups.flat(), () => {
        injector.fire(armed, {})
        down(times)
      }))
  },
  swizzleClog: (armed, injector) => {
    const { hosts: names, when, withinNs } = armed.fault
    const { engine, hosts } = injector
    injector.when(when, () =>
      injector.withHosts(names, () => {
        injector.fire(armed, {})
        const { stream } = armed
        const some = names.filter(() => stream.chance(0.5))
        const halfNs = Math.floor(withinNs / 2)
        for (const name of some.length > 0 ? some : [names[stream.below(names.length)]!]) {
          const clogNs = Math.floor(stream.fraction() * halfNs)
          const unclogNs = halfNs + Math.floor(stream.fraction() * halfNs)
          engine.at(engine.nowNs + clogNs, hosts.owner, () => {
            const others = injector.hostNames.filter((other) => other !== name)
            const paths = pathsBetween(injector, [[name], others], false)
            for (const path of paths) path.block()
            injector.lasting(unclogNs - clogNs, () => {
              for (const path of paths) path.unblock()
            })
          })
        }
      }))
  },
  heal: (armed, injector) =>
    injector.when(armed.fault.when, () => {
      injector.fire(armed, {})
      injector.heal()
    })
}

export const effects: { readonly [K in Fault.Kind]: Effect<K> } = {
  ...connect,
  ...flow,
  ...end,
  ...ofHosts,
  ...tls,
  ...path,
  ...serial,
  ...net
}
