import * as Effect from "effect/Effect"
import * as Duration from "effect/Duration"
import * as Cause from "effect/Cause"
import { laws } from "../src/testing/laws/index.ts"
import * as TransportLaws from "../src/testing/TransportLaws.ts"
import { brokenSubject, overWire } from "../src/testing/sound.ts"
import { Closed, TimedOut, Reset, TransportError } from "../src/TransportError.ts"
const err = (operation: any, reason: any, delivery?: any) => new TransportError({ operation, endpoint: "memory:m", reason, ...(delivery && { delivery }) })
const T = (f: (t: any, p: any) => any) => brokenSubject({ transport: (t, p) => ({ ...t, ...f(t, p) }) })
const flag = () => { const o = { on: false, set: Effect.sync(() => { o.on = true }) }; return o }
const M: Array<[number, string, any]> = [
  [51, "halfClose = close", T((t) => ({ halfClose: t.close }))],
  [51, "reads end after halfClose", T((t) => { const f = flag(); return { halfClose: Effect.andThen(f.set, t.halfClose), reader: Effect.map(t.reader, (r: any) => ({ ...r, forEach: undefined, pull: Effect.suspend(() => f.on ? Cause.done() : r.pull) })) } })],
  [51, "halfClose drops the queue", brokenSubject(() => { const f = flag(); let way = false; return { wire: (w) => overWire(w, { write: (c, b) => { if (f.on) return true; way = !w.write(c, b); return !way } }), transport: (t: any) => ({ ...t, halfClose: Effect.andThen(f.set, t.halfClose) }) } })],
  [51, "halfClose aborts after", T((t) => ({ halfClose: Effect.andThen(t.halfClose, t.abort) }))],
  [52, "half-closed 5s then closed", T((t) => ({ halfClose: Effect.andThen(t.halfClose, Effect.forkDetach(Effect.andThen(Effect.sleep(5000), t.close))) }))],
  [53, "second hangs", T((t) => { let n = 0; return { halfClose: Effect.suspend(() => n++ > 0 ? Effect.never : t.halfClose) } })],
  [53, "second while first under way hangs", T((t) => { let busy = false; return { halfClose: Effect.suspend(() => { if (busy) return Effect.never; busy = true; return Effect.ensuring(t.halfClose, Effect.sync(() => { busy = false })) }) } })],
  [53, "third destroys", T((t) => { let n = 0; return { halfClose: Effect.suspend(() => n++ > 2 ? t.abort : t.halfClose) } })],
  [53, "dies after peer reset", T((t) => ({ halfClose: Effect.catch(t.halfClose, (e: any) => e.reason._tag === "Reset" ? Effect.die(new Error("ENOTCONN")) : Effect.fail(e)) }))],
  [53, "hangs after reset", T((t) => ({ halfClose: Effect.catch(t.halfClose, (e: any) => e.reason._tag === "Reset" ? Effect.never : Effect.fail(e)) }))],
  [54, "hangs after close", T((t) => { const f = flag(); return { close: Effect.andThen(f.set, t.close), halfClose: Effect.suspend(() => f.on ? Effect.never : t.halfClose) } })],
  [54, "after abort success", T((t) => { const f = flag(); return { abort: Effect.andThen(f.set, t.abort), halfClose: Effect.suspend(() => f.on ? Effect.void : t.halfClose) } })],
  [54, "half-close in close aborts", T((t) => { const f = flag(); return { close: Effect.andThen(f.set, t.close), halfClose: Effect.suspend(() => f.on ? Effect.andThen(t.abort, t.halfClose) : t.halfClose) } })],
  [55, "closed never", T((t) => { const f = flag(); return { halfClose: Effect.andThen(f.set, t.halfClose), closed: Effect.suspend(() => f.on ? Effect.never : t.closed) } })],
  [55, "unread lost", T((t) => { const f = flag(); return { halfClose: Effect.andThen(f.set, t.halfClose), reader: Effect.map(t.reader, (r: any) => ({ ...r, forEach: undefined, pull: Effect.suspend(() => f.on ? Effect.flatMap(r.pull, () => r.pull) : r.pull) })) } })],
  [57, "abort at close", T((t) => ({ close: Effect.andThen(t.flush, t.abort) }))],
  [57, "last byte lost", brokenSubject(() => { const f = flag(); return { wire: (w) => overWire(w, { write: (c, b) => f.on ? w.write([...c.slice(0, -1), c[c.length - 1]!.subarray(1)], b) : w.write(c, b) }), transport: (t: any) => ({ ...t, close: Effect.andThen(f.set, t.close) }) } })],
  [57, "paused is dropped", T((t) => { let held = 0; return { pausedWriting: Effect.andThen(Effect.sync(() => held++), t.pausedWriting), close: Effect.suspend(() => held > 0 ? t.abort : t.close) } })],
  [58, "returns at once", T((t) => ({ close: Effect.asVoid(Effect.forkDetach(t.close)) }))],
  [58, "closed late", T((t) => ({ closed: Effect.andThen(t.closed, Effect.repeat(Effect.yieldNow, { times: 300 })) }))],
  [60, "says success", T((t) => ({ close: Effect.catch(t.close, (e: any) => e.reason._tag === "TimedOut" ? Effect.void : Effect.fail(e)) }))],
  [60, "says Closed", T((t) => ({ close: Effect.catch(t.close, (e: any) => Effect.fail(err("close", new Closed({ by: "abort" })))) }))],
  [60, "phase write", T((t) => ({ close: Effect.catch(t.close, (e: any) => Effect.fail(err("close", new TimedOut({ phase: "write" })))) }))],
  [60, "limit ignored", brokenSubject({ options: (o) => ({ ...o, closeTimeout: Duration.seconds(5) }) })],
  [60, "at once", brokenSubject({ options: (o) => ({ ...o, closeTimeout: Duration.millis(0) }) })],
  [60, "release not reset", brokenSubject({ wire: (w) => overWire(w, { reset: () => w.release() }) })],
  [60, "lingers for ever", brokenSubject({ options: (o) => ({ ...o, lingerDuration: Duration.days(1) }), wire: (w) => overWire(w, { lingers: true }) })],
  [60, "lingers for any bytes", brokenSubject({ options: (o) => ({ ...o, lingerBytesMax: 1e9 }), wire: (w) => overWire(w, { lingers: true }) })],
  [0, "sound that lingers", brokenSubject({ wire: (w) => overWire(w, { lingers: true }) })],
  [61, "second close hangs", T((t) => { let n = 0; return { close: Effect.suspend(() => n++ > 0 ? Effect.never : t.close) } })],
  [61, "later read Reset", T((t) => { let bad = false; return { close: Effect.tapError(t.close, () => Effect.sync(() => { bad = true })), reader: Effect.map(t.reader, (r: any) => ({ ...r, forEach: undefined, pull: Effect.suspend(() => bad ? Effect.fail(err("read", new Reset())) : r.pull) })) } })],
  [61, "close of the lost succeeds", T((t) => ({ close: Effect.catch(t.close, (e: any) => e.reason._tag === "Reset" ? Effect.void : Effect.fail(e)) }))],
  [62, "flush, then close", T((t) => ({ close: Effect.andThen(Effect.ignore(t.flush), t.close) }))],
  [62, "pending read EOF", T((t) => ({ reader: Effect.map(t.reader, (r: any) => ({ ...r, forEach: undefined, pull: Effect.catch(r.pull, (e: any) => e._tag === "TransportError" && e.reason._tag === "Closed" ? Cause.done() : Effect.fail(e)) })) }))],
  [62, "handler loop goes on", T((t) => ({ reader: Effect.map(t.reader, (r: any) => ({ ...r, forEach: (f: any) => Effect.catch(r.forEach(f), (e: any) => e.reason?._tag === "Closed" ? f([new Uint8Array(1)]) : Effect.fail(e)) })) }))],
  [63, "waiter hangs", T((t) => ({ write: (o: any) => Effect.catch(t.write(o), (e: any) => e.reason._tag === "Closed" ? Effect.never : Effect.fail(e)) }))],
  [63, "verdict unknown", T((t) => ({ write: (o: any) => Effect.catch(t.write(o), (e: any) => Effect.fail(err("write", e.reason, "Unknown"))) }))],
  [63, "waiters are flushed first", T((t) => { const all: any[] = []; return { write: (o: any) => Effect.flatMap(Effect.forkDetach(t.write(o)), (f: any) => { all.push(f); return Effect.flatten(Effect.map(Effect.exit(Effect.suspend(() => f.pollUnsafe() ?? Effect.callback((r: any) => { f.addObserver((e: any) => r(e)) }))), (x: any) => x)) }), close: Effect.suspend(() => Effect.andThen(Effect.suspend(function w(): any { return all.some((f) => f.pollUnsafe() === undefined) ? Effect.andThen(Effect.yieldNow, Effect.suspend(w)) : Effect.void }), t.close)) } })],
]
const asked = process.argv.slice(2).map(Number)
for (const [n, name, subject] of M) {
  if (asked.length && !asked.includes(n)) continue
  for (const law of TransportLaws.make(subject)) {
    if (n === 0 ? law.number < 51 || law.number > 63 : law.number !== n) continue
    if (law.missing.length) continue
    const r = await Effect.runPromise(Effect.match(law.test, { onSuccess: () => "NOT NOTICED", onFailure: (e) => e.detail }))
    console.log(law.number, name, "->", r)
  }
}
