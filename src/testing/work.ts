/**
 * How much work a synchronous function does with bytes, without a clock: counted are the bytes that the built-in methods
 * search, copy or decode while it runs.
 */

const methods = ["indexOf", "lastIndexOf", "includes", "set", "slice", "copyWithin", "fill", "findIndex"] as const

/** What one call of a method works on, at the most. */
const bytesOf = (method: (typeof methods)[number], self: Uint8Array, args: ReadonlyArray<unknown>, answer: unknown) => {
  switch (method) {
    case "indexOf":
    case "includes": {
      const from = typeof args[1] === "number" ? args[1] : 0
      return (typeof answer === "number" && answer >= 0 ? answer + 1 : self.length) - from
    }
    case "lastIndexOf": {
      const from = typeof args[1] === "number" ? args[1] : self.length - 1
      return from - (typeof answer === "number" ? answer : -1)
    }
    case "set":
      return (args[0] as ArrayLike<number>).length
    case "slice":
      return (answer as Uint8Array).length
    default:
      return self.length
  }
}

/** How many bytes were worked on. The built-in methods are as before when it returns. */
export const workOf = (run: () => void): number => {
  const bytes = Object.getPrototypeOf(Uint8Array.prototype) as Record<string | symbol, unknown>
  const text = TextDecoder.prototype as { decode: unknown }
  const before = { ...Object.getOwnPropertyDescriptors(bytes) }
  const { decode } = TextDecoder.prototype
  let work = 0
  for (const method of methods) {
    const original = before[method]!.value as (...args: Array<unknown>) => unknown
    bytes[method] = function(this: Uint8Array, ...args: Array<unknown>) {
      const answer = original.apply(this, args)
      work += bytesOf(method, this, args, answer)
      return answer
    }
  }
  const iterator = before[Symbol.iterator as never] as PropertyDescriptor
  bytes[Symbol.iterator] = function(this: Uint8Array) {
    work += this.length
    return (iterator.value as () => Iterator<number>).call(this)
  }
  text.decode = function(this: TextDecoder, ...args: Parameters<typeof decode>) {
    work += (args[0] as Uint8Array | undefined)?.length ?? 0
    return decode.apply(this, args)
  }
  try {
    run()
  } finally {
    for (const method of methods) Object.defineProperty(bytes, method, before[method]!)
    Object.defineProperty(bytes, Symbol.iterator, iterator)
    text.decode = decode
  }
  return work
}
