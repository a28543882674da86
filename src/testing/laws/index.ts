/**
 * All laws of the kit, in the order of their numbers.
 */
import type { Law } from "../law.ts"
import { abortLaws } from "./abort.ts"
import { backpressureLaws } from "./backpressure.ts"
import { badInputLaws } from "./badInput.ts"
import { closeLaws } from "./close.ts"
import { concurrencyLaws } from "./concurrency.ts"
import { deadlineLaws } from "./deadlines.ts"
import { eofLaws } from "./eof.ts"
import { halfCloseLaws } from "./halfClose.ts"
import { idempotenceLaws } from "./idempotence.ts"
import { interruptionLaws } from "./interruption.ts"
import { leakLaws } from "./leaks.ts"
import { openingLaws } from "./opening.ts"
import { orderingLaws } from "./ordering.ts"
import { pauseLaws } from "./pause.ts"
import { readingLaws } from "./reading.ts"
import { resetLaws } from "./reset.ts"
import { serverLaws } from "./server.ts"
import { writevLaws } from "./writev.ts"
import { writingLaws } from "./writing.ts"

export const laws: ReadonlyArray<Law> = [
  openingLaws,
  readingLaws,
  eofLaws,
  writingLaws,
  orderingLaws,
  concurrencyLaws,
  writevLaws,
  backpressureLaws,
  pauseLaws,
  closeLaws,
  halfCloseLaws,
  abortLaws,
  resetLaws,
  deadlineLaws,
  idempotenceLaws,
  leakLaws,
  interruptionLaws,
  serverLaws,
  badInputLaws
]
  .flat().sort((
    one,
    other
  ) => one.number - other.number)
