/**
 * Checks of what users give.
 */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"

export const isCount = (value: unknown, min: number): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= min

/** A time that can be waited for; nothing for what is not one. */
export const durationOf = (input: unknown): Duration.Duration | undefined => {
  const duration = Option.getOrUndefined(Duration.fromInput(input as Duration.Input))
  return duration !== undefined && Duration.isFinite(duration) && !Duration.isNegative(duration) ? duration : undefined
}
