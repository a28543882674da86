export { transportLaws } from "./transportLaws.ts"
