export * as TransportLaws from "./TransportLaws.ts"
