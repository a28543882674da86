export { codecLaws } from "./codecLaws.ts"
export { transportLaws } from "./transportLaws.ts"
