export * as NodeDuplex from "./NodeDuplex.ts"
export * as NodeTransport from "./NodeTransport.ts"
export * as SerialDevice from "./SerialDevice.ts"
export * as SerialPorts from "./SerialPorts.ts"
