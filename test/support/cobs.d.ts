declare module "cobs" {
  const cobs: {
    readonly encode: (bytes: Uint8Array, withZeros?: boolean) => Uint8Array
    readonly decode: (bytes: Uint8Array) => Uint8Array
  }
  export default cobs
}
