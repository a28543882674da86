/**
 * What is sent: printable messages that end with a newline, so that one kind of message serves echoes and lines.
 *
 * In a measurement it is the same memory each time. Where it is hashed each message has a number in front, so that one
 * that is lost, doubled or out of its place is seen, and is a copy, since a socket may not have sent the last one yet.
 */
export const messages = (bytes: number, isHashed: boolean): (index: number) => Buffer => {
  const template = Buffer.alloc(bytes, "abcdefghijklmnopqrstuvwxyz")
  template[bytes - 1] = 0x0a
  if (!isHashed) return () => template
  return (index) => {
    const message = Buffer.from(template)
    message.write(index.toString(16).padStart(8, "0"), "latin1")
    return message
  }
}
