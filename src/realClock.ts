/**
 * Real time, for what has to come to an end though nobody moves the clock at hand, as in a test.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"

export const realClock: Clock.Clock = Context.get(Context.empty(), Clock.Clock)
