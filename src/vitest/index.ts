export { codecLaws } from "./codecLaws.ts"
export { machineLaws } from "./machineLaws.ts"
export { producerLaws } from "./producerLaws.ts"
export { transportLaws } from "./transportLaws.ts"
