/**
 * Finds what stands below a consumer, for who looks at the pressure of a whole stack.
 */
import type { Watched } from "./watched.ts"

export interface Level {
  readonly name: string
  readonly state: "flowing" | "paused" | "stopped"
  readonly size: number
  readonly length: number
  readonly waiting: number
  readonly dropped: number
  readonly highWaterMark: number
  readonly lowWaterMark: number
}

/** One level, and all that it writes to. */
export interface Stack {
  readonly level: () => Level
  readonly state: Watched<Level["state"]>
  readonly below: ReadonlyArray<object>
  /** Its bound is no backpressure. */
  readonly sheds?: boolean | undefined
}

const key = Symbol("effect-transport/Stack")

export const setStack = (consumer: object, stack: Stack): void => {
  // Not enumerable, and so not copied: who wraps a consumer is no such level.
  Object.defineProperty(consumer, key, { value: stack })
}

/** From the top down, each once. */
export const stacksOf = (consumer: object): ReadonlyArray<Stack> => {
  const found = new Set<Stack>()
  const look = (at: object): void => {
    const stack = (at as { readonly [key]?: Stack })[key]
    if (stack === undefined || found.has(stack)) return
    found.add(stack)
    for (const below of stack.below) look(below)
  }
  look(consumer)
  return Array.from(found)
}
