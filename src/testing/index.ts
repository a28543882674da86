export * as CodecLaws from "./CodecLaws.ts"
export * as TransportLaws from "./TransportLaws.ts"
