import { matrixPart } from "../support/matrix.ts"

matrixPart(3)
