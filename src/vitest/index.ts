export { codecLaws } from "./codecLaws.ts"
export { producerLaws } from "./producerLaws.ts"
export { transportLaws } from "./transportLaws.ts"
