import { Reading } from "../src/testing/codecBench.ts"
import { codecSubjects } from "../test/support/codecSubjects.ts"
const s = codecSubjects["a framing that time ends"]!
const mk = () => new Reading(s.codec({ onBroken: "skip", bytesMax: 20 }).decoder())
const input = Uint8Array.from({ length: 24 }, (_, i) => i)
const show = (r: Reading) => {
  const m = r.finish()
  return JSON.stringify(m.items.map((i: any) => i._tag ? [i.offset, i.bytes] : i.length))
}
for (let cut = 0; cut <= 24; cut++) {
  const a = mk()
  a.decode(input.slice(0, cut))
  a.decode(input.slice(cut))
  const b = mk()
  b.decode(input.slice(0, cut))
  b.decode(b.decoder.rest())
  b.decode(input.slice(cut))
  const c = mk()
  c.decode(input.slice(0, cut))
  const rest = c.decoder.rest()
  const f = new Reading(c.decoder.fork!())
  f.decode(rest)
  f.decode(input.slice(cut))
  const c2 = mk()
  c2.decode(input.slice(0, cut))
  const f2 = new Reading(c2.decoder.fork!())
  const rest2 = c2.decoder.rest()
  f2.decode(rest2)
  f2.decode(input.slice(cut))
  console.log(cut, show(a), show(b), show(f), show(f2))
}
