/**
 * All specimens of the kit, in the order of the laws that catch them.
 */
import type { Specimen } from "../law.ts"
import { abortSpecimens } from "./abort.ts"
import { backpressureSpecimens } from "./backpressure.ts"
import { badInputSpecimens } from "./badInput.ts"
import { closeSpecimens } from "./close.ts"
import { concurrencySpecimens } from "./concurrency.ts"
import { deadlineSpecimens } from "./deadlines.ts"
import { eofSpecimens } from "./eof.ts"
import { halfCloseSpecimens } from "./halfClose.ts"
import { idempotenceSpecimens } from "./idempotence.ts"
import { interruptionSpecimens } from "./interruption.ts"
import { leakSpecimens } from "./leaks.ts"
import { openingSpecimens } from "./opening.ts"
import { orderingSpecimens } from "./ordering.ts"
import { pauseSpecimens } from "./pause.ts"
import { readingSpecimens } from "./reading.ts"
import { resetSpecimens } from "./reset.ts"
import { serverSpecimens } from "./server.ts"
import { writevSpecimens } from "./writev.ts"
import { writingSpecimens } from "./writing.ts"

export const specimens: ReadonlyArray<Specimen> = [
  openingSpecimens,
  readingSpecimens,
  eofSpecimens,
  writingSpecimens,
  orderingSpecimens,
  concurrencySpecimens,
  writevSpecimens,
  backpressureSpecimens,
  pauseSpecimens,
  closeSpecimens,
  halfCloseSpecimens,
  abortSpecimens,
  resetSpecimens,
  deadlineSpecimens,
  idempotenceSpecimens,
  leakSpecimens,
  interruptionSpecimens,
  serverSpecimens,
  badInputSpecimens
]
  .flat().sort((one, other) => one.law - other.law)
