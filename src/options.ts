/**
 * Checks of options that are used at once, outside of any effect: what is wrong is thrown, as `InvalidOption`.
 */
import { isCount } from "./internal/check.ts"
import { InvalidOption } from "./TransportError.ts"

/** One of the values, the first of them by default. */
export const oneOf = <const A>(field: string, values: readonly [A, ...Array<A>], value: unknown): A => {
  if (value === undefined) return values[0]
  if (values.includes(value as A)) return value as A
  throw new InvalidOption({ field, expected: values.map((value) => JSON.stringify(value)).join(" or "), actual: value })
}

/** A number above 0 that is finite. */
export const positive = (field: string, expected: string, value: unknown): number => {
  if (typeof value === "number" && value > 0 && value < Infinity) return value
  throw new InvalidOption({ field, expected, actual: value })
}

/** An integer from `min` on. */
export const count = (field: string, min: number, value: unknown): number => {
  if (isCount(value, min)) return value
  const expected = min === 0 ? "a non-negative integer" : min === 1 ? "a positive integer" : `an integer from ${min} on`
  throw new InvalidOption({ field, expected, actual: value })
}
