/**
 * Connects to a name that has several addresses: Happy Eyeballs (RFC 8305), above a seam that makes one connection.
 *
 * Attempts start one after another, each a little after the one before, and race; the first connection wins, and nothing
 * is left of the others. What an attempt is, and what it connects, is the caller's business.
 */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import type * as AddressResolver from "effect/net/AddressResolver"
import type { DnsError } from "effect/net/Dns"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Endpoint from "../../Endpoint.ts"
import { AllAttemptsFailed, type Reason, TimedOut, TransportError } from "../../TransportError.ts"
import { reasonOf } from "../nativeError.ts"

/**
 * What to connect to, and how.
 *
 * @category models
 * @since 0.1.0
 */
export interface DialOptions<A, R> {
  readonly endpoint: Endpoint.TcpEndpoint
  /** Asked for names and for named zones; an address is dialled without it. */
  readonly resolver: AddressResolver.AddressResolver["Service"]
  /** Makes one connection. Interrupted, or when its scope ends, it must leave nothing behind. */
  readonly attempt: (address: NetAddress.InetAddress) => Effect.Effect<A, TransportError, R | Scope.Scope>
  /** The head start of an attempt over the next. Default 250 milliseconds, as RFC 8305 recommends. */
  readonly attemptDelay?: Duration.Input | undefined
  /** For the whole: lookup and every attempt. Default none. Zero fails without looking up or dialling. */
  readonly connectTimeout?: Duration.Input | undefined
}

/**
 * Connects to the first address of an endpoint that answers.
 *
 * **Details**
 *
 * The addresses of a name are tried in the resolver's order, families alternating, IPv6 first. The next attempt starts
 * when the latest has failed or has had its head start. Each runs in a scope of its own: the winner's becomes part of the
 * caller's; the others are interrupted, their scopes are closed with an interruption, and `dial` waits for that before
 * it returns. Interrupting `dial` does the same with all of them, also with one that has just succeeded.
 *
 * If every attempt failed, the error is that of the only one, or `AllAttemptsFailed` with theirs. A defect ends the dial
 * at once.
 *
 * @category constructors
 * @since 0.1.0
 */
export const dial = <A, R>(options: DialOptions<A, R>): Effect.Effect<A, TransportError, R | Scope.Scope> =>
  Effect.uninterruptibleMask(Effect.fnUntraced(function*(restore) {
    const callers = yield* Effect.scope
    const scopes: Array<Scope.Closeable> = []
    const racing = race(options, (address) =>
      Effect.suspend(() => {
        const scope = Scope.forkUnsafe(callers)
        scopes.push(scope)
        return settle(options.attempt(address), scope)
      }))
    const raced = yield* Effect.exit(restore(racing))
    const exit = Exit.isSuccess(raced) ? raced.value.exit : Exit.failCause(raced.cause)
    const won = Exit.isSuccess(raced) && Exit.isSuccess(exit) ? raced.value.scope : undefined
    // A loser may have connected all the same. Its scope ends as interrupted: it is no conversation to end in order.
    const lost = scopes.filter((scope) => scope !== won)
    yield* Effect.forEach(lost, (scope) => Scope.close(scope, Exit.interrupt()), {
      concurrency: "unbounded",
      discard: true
    })
    return yield* exit
  }))

const attemptDelayDefault = Duration.millis(250)

/** An attempt that ended the race: with a connection, or with what is no failure to connect. */
interface Settled<A> {
  readonly scope: Scope.Closeable
  readonly exit: Exit.Exit<A, TransportError>
}

const settle = <A, R>(
  attempt: Effect.Effect<A, TransportError, R>,
  scope: Scope.Closeable
): Effect.Effect<Settled<A>, TransportError, Exclude<R, Scope.Scope>> =>
  Effect.flatMap(Effect.exit(Scope.provide(attempt, scope)), (exit) => {
    const error = Exit.isFailure(exit) && !Cause.hasDies(exit.cause) ? Cause.findErrorOption(exit.cause) : Option.none()
    return Option.isNone(error)
      ? Effect.succeed({ scope, exit })
      // At once, and not when the race is over: a failed attempt has nothing to hold on to.
      : Effect.andThen(Scope.close(scope, exit), Effect.fail(error.value))
  })

const race = <A, R>(
  { attemptDelay = attemptDelayDefault, connectTimeout, endpoint, resolver }: DialOptions<A, R>,
  attempt: (address: NetAddress.InetAddress) => Effect.Effect<Settled<A>, TransportError, Exclude<R, Scope.Scope>>
): Effect.Effect<Settled<A>, TransportError, Exclude<R, Scope.Scope>> => {
  const failure = (reason: Reason, cause?: unknown) =>
    new TransportError({ operation: "open", endpoint: Endpoint.format(endpoint), reason, cause })

  // Recursive, so that an attempt waits for its turn inside the race that would end its waiting.
  const from = (
    addresses: ReadonlyArray<NetAddress.InetAddress>,
    errors: Array<TransportError>,
    index: number
  ): ReturnType<typeof attempt> => {
    const failed = Latch.makeUnsafe()
    const own = Effect.tapError(attempt(addresses[index]!), (error) => {
      errors[index] = error
      return failed.open
    })
    if (index === addresses.length - 1) return own
    const turn = Effect.timeoutOption(failed.await, attemptDelay)
    return Effect.race(own, Effect.andThen(turn, Effect.suspend(() => from(addresses, errors, index + 1))))
  }

  let phase: "lookup" | "connect" = "lookup"
  const racing = Effect.flatMap(
    Effect.mapError(addressesOf(endpoint, resolver), (cause) => {
      const { host, port } = endpoint
      return failure(reasonOf(cause, { operation: "open", what: `${host}:${port}`, host }), cause)
    }),
    (addresses) => {
      phase = "connect"
      const errors: Array<TransportError> = []
      return Effect.catch(from(addresses, errors, 0), (error) =>
        Effect.fail(
          addresses.length > 1 && Arr.isReadonlyArrayNonEmpty(errors)
            ? failure(new AllAttemptsFailed({ attempts: errors }))
            : error
        ))
    }
  )
  if (connectTimeout === undefined) return racing
  // A race against zero would still let the lookup and the first attempt begin.
  return Duration.isPositive(Duration.fromInputUnsafe(connectTimeout))
    ? Effect.timeoutOrElse(racing, {
      duration: connectTimeout,
      orElse: () => Effect.fail(failure(new TimedOut({ phase })))
    })
    : Effect.fail(failure(new TimedOut({ phase: "connect" })))
}

const addressesOf = (
  { host, port }: Endpoint.TcpEndpoint,
  resolver: AddressResolver.AddressResolver["Service"]
): Effect.Effect<ReadonlyArray<NetAddress.InetAddress>, DnsError | NetAddress.NetAddressError> => {
  const literal = NetAddress.inetAddressFromHostString(host, port)
  return Result.isSuccess(literal)
    ? Effect.succeed([literal.success])
    : Effect.map(resolver.resolve({ host, port }), interleave)
}

/** RFC 8305, section 4, with a First Address Family Count of 1. */
const interleave = (addresses: ReadonlyArray<NetAddress.InetAddress>): ReadonlyArray<NetAddress.InetAddress> => {
  const v6 = addresses.filter(NetAddress.isInetAddressV6)
  const v4 = addresses.filter(NetAddress.isInetAddressV4)
  return addresses.flatMap((_, index) => [...v6.slice(index, index + 1), ...v4.slice(index, index + 1)])
}
