import type { Specimen } from "../law.ts"
export const halfCloseSpecimens: ReadonlyArray<Specimen> = []
