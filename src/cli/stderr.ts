/**
 * Standard error as the tool writes it: whole lines, and one line below them that is drawn again and again.
 */
import * as Effect from "effect/Effect"

const eraseLine = "\r\u001b[K"

let isDrawn = false

/**
 * Completes when the text has left the process, so that a slow reader of it slows whoever writes. A reader that is gone
 * is no failure: there is nobody left to be told.
 */
const write = (text: string): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    process.stderr.write(text, () => resume(Effect.void))
  })

/** Without a listener a reader that is gone would end the process. */
export const tolerateItsEnd = Effect.sync(() => {
  process.stderr.on("error", () => {})
})

/** Lines for logs, which have no fiber to wait in. */
export const printUnsafe = (lines: string): void => {
  process.stderr.write(`${isDrawn ? eraseLine : ""}${lines}\n`)
  isDrawn = false
}

/** Prints whole lines above the drawn one, which is gone until it is drawn again. */
export const print = (lines: string): Effect.Effect<void> =>
  Effect.suspend(() => {
    const text = `${isDrawn ? eraseLine : ""}${lines}\n`
    isDrawn = false
    return write(text)
  })

/** What a terminal that does not know its size is taken for. */
const columnsByDefault = 80

/** Draws a line over the one drawn before, cut so that it never wraps. */
export const draw = (line: string): Effect.Effect<void> =>
  Effect.suspend(() => {
    isDrawn = true
    return write(`${eraseLine}${line.slice(0, (process.stderr.columns || columnsByDefault) - 1)}`)
  })

/** Leaves the drawn line where it is, with what comes next below it. */
export const settle: Effect.Effect<void> = Effect.suspend(() => {
  const text = isDrawn ? "\n" : ""
  isDrawn = false
  return write(text)
})

/** Lines can be drawn over only where someone looks at them. */
export const canDraw = (): boolean => process.stderr.isTTY && process.env.TERM !== "dumb"
