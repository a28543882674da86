export * as NodeChildProcess from "./NodeChildProcess.ts"
export * as NodeDuplex from "./NodeDuplex.ts"
export * as NodeTransport from "./NodeTransport.ts"
