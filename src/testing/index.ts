export * as CodecLaws from "./CodecLaws.ts"
export * as MachineLaws from "./MachineLaws.ts"
export * as ProducerLaws from "./ProducerLaws.ts"
export * as TransportLaws from "./TransportLaws.ts"
