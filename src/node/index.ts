export * as NodeDuplex from "./NodeDuplex.ts"
export * as NodeTransport from "./NodeTransport.ts"
