/**
 * All laws of the kit, in the order of their numbers.
 */
import type { Law } from "../law.ts"
import { eofLaws } from "./eof.ts"
import { writevLaws } from "./writev.ts"

export const laws: ReadonlyArray<Law> = [eofLaws, writevLaws].flat().sort((one, other) => one.number - other.number)
